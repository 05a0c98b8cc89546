"""Words by which people of many tongues ask for no more mail, and what they add to them."""

import re

from mailops.protocol.classification.folding import any_of, fold_letters

LONGEST = 200  # characters of what is still a wish and no letter

_LEAVE = (
    "unsubscribe|opt out|opt-out|optout|remove|signoff|abmelden|abmeldung|abbestellen|austragen|désabonner|désabonnement|se désinscrire|désinscription|darse de baja|baja|cancelar suscripción|"
    "disiscriviti|cancellami|cancellazione|descadastrar|cancelar inscrição|uitschrijven|afmelden|wypisz|отписаться|отписка|отписать|配信停止|退会|退订|取消订阅|수신거부"
)
_COURTESY = (
    "please|pls|thanks|thank you|now|immediately|request|bitte|danke|vielen dank|merci|svp|s'il vous plaît|s'il te plaît|por favor|gracias|per favore|per piacere|grazie|obrigado|obrigada|alstublieft|alsjeblieft|"
    "aub|bedankt|graag|proszę|dziękuję|пожалуйста|спасибо|希望|を希望|希望します|を希望します|お願いします|をお願いします|してください|请|谢谢|요청|부탁드립니다|해주세요"
)
_WHO = "me|us|my address|my email|my e-mail|my email address|my e-mail address|this address|this email address|newsletter|mich|uns|moi|mnie|меня"
_FROM = "from|of|von|vom|aus|de|du|des|del|da|do|dal|dalla|van|voor|z|от"
_WHOSE = "the|this|these|your|all|any|der|dem|den|dieser|diesem|ihrer|ihrem|eurer|eurem|la|le|les|cette|ce|cet|votre|vos|el|esta|este|su|sus|questa|vostra|tua|desta|sua|de|deze|uw|jullie|tej|waszej|вашей|этой|всех"
_LIST = (
    "list|lists|mailing list|mailing lists|mailinglist|mailing|mailings|email list|e-mail list|distribution list|newsletter|newsletters|mails|emails|e-mails|liste|verteiler|mailingliste|rundbrief|lettre|"
    "lettre d'information|liste de diffusion|lista|lista de correo|lista de distribución|boletín|lista de e-mails|lijst|mailinglijst|nieuwsbrief|listy|newslettera|рассылки|рассылок"
)


def _any(phrases: str) -> str:
    return f"(?:{any_of(phrases.split('|'), gap=_SPACE)})"


_SPACE = r"\s+"
_BETWEEN = r"[\s\"'.,;:!()<>\[\]-]*+"
_ADDRESS = r"[^\s<>@]{1,64}@[^\s<>@]{1,255}"
_LISTS = rf"{_any(_FROM)}(?:\s+{_any(_WHOSE)})*\s+{_any(_LIST)}"
_ADDED = rf"(?>(?:{_any(_COURTESY)}|{_any(_WHO)}|{_LISTS}|{_ADDRESS})(?!\w))"
_WISH = re.compile(
    rf"{_BETWEEN}(?:{_any(_COURTESY)}{_BETWEEN})?{_any(_LEAVE)}(?>(?:{_BETWEEN}{_ADDED})*){_BETWEEN}"
)


def ask_to_leave(text: str) -> bool:
    """Tell whether `text` asks for no more mail and for nothing else: “Remove line 3, please” is no wish to leave."""
    return len(text) <= LONGEST and _WISH.fullmatch(fold_letters(text)) is not None
