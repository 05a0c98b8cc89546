"""Words by which mail systems of many tongues say that mail failed, waits, arrived, or that a machine answers."""

import re

from mailops.protocol.classification.folding import any_of


def _any(*tongues: str) -> re.Pattern[str]:
    """Return a pattern of phrases parted by `|`; a space stands for any blank space or nothing but blank space."""
    phrases = (phrase for tongue in tongues for phrase in tongue.split("|"))
    return re.compile(any_of(phrases, gap=r"\s+"))


# What a subject says of mail that failed.
FAILED_SUBJECT = _any(
    "undeliver|non-deliver|nondeliver|not delivered|delivery failed|delivery failure|delivery has failed|failure notice|delivery error|delivery problem|failed delivery|mail failure|mail delivery fail|message not deliver|message failed|could not be delivered|couldn't be delivered|cannot be delivered|can't be delivered|unable to deliver|returned mail|returned to sender|return to sender|mail returned|returned message|message returned|returned email|delivery status notification (failure|delivery status notification(failure|mail system error|mail error|error sending|rejected mail|mail rejected|message rejected|message blocked|user unknown|unknown user|bounced|undelivered|wasn't delivered|was not delivered|address not found|failed mail|send failed|sending failed|message could not|delivery attempts|mail could not|nondeliverable|ndn:|delivery unsuccessful|unsuccessful delivery|permanent error|failed message|recipient problem|problem delivering|problems delivering",
    "unzustellbar|nicht zustellbar|zustellung fehlgeschlagen|unzustellbare|konnte nicht zugestellt|nicht zugestellt|zustellungsfehler|zustellfehler|übermittlung fehlgeschlagen|rückläufer|fehler bei der zustellung|unzustellbarkeit",
    "non remis|échec de la remise|échec de remise|non distribué|non-distribué|non délivré|échec de livraison|échec de la livraison|impossible de remettre|échec de distribution|échec d'envoi|n'a pas pu être remis|n'a pas été remis|n'a pu être|courrier non remis|retour de courrier|message retourné|non remise",
    "no se puede entregar|no se pudo entregar|no se ha podido entregar|no entregado|error de entrega|error en la entrega|fallo en la entrega|fallo de entrega|correo devuelto|mensaje devuelto|no entregable|no entregada|imposible entregar|mensaje no entregado|envío fallido|error al enviar",
    "mancato recapito|recapito non riuscito|non recapitabile|impossibile recapitare|non consegnato|errore di consegna|mancata consegna|consegna fallita|non recapitato|messaggio respinto|posta restituita|mancato invio",
    "não entregue|não foi possível entregar|falha na entrega|falha de entrega|não pôde ser entregue|erro de entrega|erro na entrega|mensagem devolvida|e-mail devolvido|não é possível entregar|não foi entregue|retorno de mensagem|impossível entregar|não entregável",
    "onbestelbaar|niet bezorgd|kan niet worden bezorgd|bezorging mislukt|aflevering mislukt|niet afgeleverd|kon niet worden|niet te bezorgen|mislukte bezorging",
    "niedostarczalne|nie dostarczono|nie można dostarczyć|niedostarczona|zwrot poczty|nie dostarczona|niepowodzenie dostarczenia|błąd dostarczenia|niedostarczenie|nieudane dostarczenie|nedoručitelné|nedoručená|nedoručeno|nelze doručit|nepodařilo se doručit|nedoručiteľné|kézbesíthetetlen|nem kézbesíthető|sikertelen kézbesítés|nelivrat|nu poate fi livrat|nu s-a putut livra|imposibil de livrat|livrarea a eșuat|nu a putut fi livrat|neisporuč",
    "kunde inte levereras|kan inte levereras|inte att leverera|levering mislykkedes|levering til mislyktes|inte levererat|går inte att leverera|ej levererat|olevererbart|leveransfel|kan ikke leveres|kunne ikke leveres|ikke leveret|ikke levert|leveringsfejl|leveringsfeil|toimitus epäonnistui|ei voitu toimittaa|ei voi toimittaa|toimittamatta|ei toimitettu|teslim edilemedi|iletilemedi|teslim edilemeyen|gönderilemedi|teslim edilemez",
    "не удалось доставить|недоставлено|не доставляется|ошибка отправки|не доставлено|не доставлен|недоставлен|не может быть доставлен|невозможно доставить|ошибка доставки|сбой доставки|возврат почты|недоставка|недоставленное|недоставляемое|не было доставлено|сообщение не доставлено|сообщение о недоставке|не вдалося доставити|не доставлено|недоставлен|не може бути доставлен|не може да бъде доставен",
    "αδυναμία παράδοσης|δεν παραδόθηκε|μη παραδοτέο|αποτυχία παράδοσης|δεν ήταν δυνατή η παράδοση",
    "配信不能|配信に失敗|配信できません|配信できませんでした|配信に失敗|配信エラー|配信失敗|配達不能|配達できません|送信できませんでした|送信エラー|不達|届きません|届けられません|メールエラー|エラーメール|返送|未配達|配信不可|未達",
    "退信|退回|无法投递|未送达|投递失败|发送失败|无法送达|无法传递|未能送达|无法发送|被退回|傳遞失敗|無法傳遞|無法投遞|未送達|投遞失敗|傳送失敗|寄送失敗|系统退信|投递被拒|被拒收",
    "배달되지 않|배달할 수 없|전송 실패|전송실패|전송되지 않|발송 실패|발송실패|반송|배달 실패|전달되지 않|전달할 수 없|배달 못",
    "تعذر تسليم|تعذر التسليم|لم يتم التسليم|لم يتم تسليم|فشل التسليم|غير قابل للتسليم|לא ניתן למסור|המסירה נכשלה|לא נמסר|מסירה נכשלה|כשל במסירה|không thể gửi|không gửi được|không thể chuyển|gửi thất bại|tidak terkirim|tidak dapat dikirim|gagal dikirim|pengiriman gagal|tidak dapat disampaikan|ส่งไม่สำเร็จ|ไม่สามารถส่ง|ไม่สามารถจัดส่ง|डिलीवर नहीं|वितरित नहीं",
)

# What a subject says of any report, good or bad.
NEUTRAL_SUBJECT = _any(
    "delivery status notification|delivery notification|delivery report|mail status report|notification d'etat|benachrichtigung zum übermittlungsstatus|notification d'état de remise|notificación de estado de entrega|notifica sullo stato del recapito|notificação de status de entrega"
)

# What a text says of it, beside the words of a subject.
FAILED_TEXT = _any(
    "wasn't able to deliver|was unable to deliver|unable to deliver|were unable to deliver|not able to deliver|failed to deliver|could not deliver|couldn't deliver|cannot deliver|can't deliver|did not reach|didn't reach|following address failed|following addresses failed|following address(es) failed|following recipients failed|following recipient failed|failed permanently|permanent fatal errors|permanent error|permanent delivery|permanent failure|fatal errors|fatal error|could not be sent|cannot be sent|couldn't be sent|has been returned|is being returned|being returned to you|undelivered|undeliverable|delivery failed|delivery has failed|delivery to the following|was rejected|were rejected|has been rejected|was refused|was blocked|has been blocked|bounced back|unsuccessful|user unknown|unknown user|mailbox unavailable|no such user|unrouteable|unroutable|delivery error|not delivered|error has occurred while attempting to deliver|error while|remote host said|mailbox is full|mailbox full|quota exceeded|over quota|reason for failure|reason of failure|failure reason|failed recipient|failed addresses|failed to be delivered|transcript of session|delivery failure|does not exist|doesn't exist|not exist|were unsuccessful|giving up|gave up|returned to sender|couldn't be found|invalid recipient|not found|failed to send|message bounced|because the address|was stopped|has been stopped|automatically rejected|has not been delivered",
    "konnte nicht zugestellt werden|nicht zugestellt|konnte nicht|wurde abgelehnt|kann nicht zugestellt|zurückgewiesen|fehlgeschlagen|n'a pas pu|n'a pu|impossible|a échoué|a été rejeté|a été refusé|no se pudo|no ha podido|no pudo|ha sido rechazado|fue rechazado|no fue entregado|non è stato|non può essere|è stato rifiutato|não pôde|não pode ser|não foi possível|foi rejeitad|niet worden|is mislukt|geweigerd|nie mogła|nie został|nie można|odrzucon|nebyla|se nepodařilo|nem sikerült|kunde inte|kunne ikke|ei voitu",
    "не может быть|не удалось|не был|отклонено|отказ|未能|失败|失敗|無法|无法|拒绝|拒絕|できませんでした|できません|エラー|存在しない|실패|없습니다|않았습니다|反송|تعذر|فشل|לא ניתן|נכשל|không thể|gagal|tidak dapat|ไม่สามารถ|edilemedi",
)

DELAYED = _any(
    "delayed mail|message delayed|delivery delayed|mail delayed|has been delayed|is delayed|was delayed|delivery delay|delivery status notification (delay|delivery is delayed|delayed delivery|transient delivery failure|transient non-fatal|still being retried|will be retried|will continue to be|will continue to try|will keep trying|continue trying|keep trying|still trying|will try again|will be attempted|will be re-attempted|not yet been delivered|not been delivered yet|not yet delivered|has not been delivered to|could not send message for past|could not send for|warning message only|warning only|do not need to resend|need not resend|no need to resend|temporarily delayed|temporary failure, will|no action is required on your part|deferred delivery|will retry|is still in the queue|remains in the queue|temporarily unable to deliver|warning: message|delayed by|delivery incomplete|attempts to deliver the message will continue|retrying for|we'll retry|we'll keep trying|gmail will retry",
    "verzögert|verzögerung|noch nicht zugestellt|wird weiterhin versucht|weitere zustellversuche|retardé|différé|pas encore été remis|retard de|retardo|retrasado|retrasada|demorado|demora en|aún no se ha entregado|no se ha entregado aún|se seguirá intentando|ritardo|ritardata|non ancora consegnato|in ritardo|atrasada|atraso|ainda não foi entregue|adiada|vertraagd|vertraging|opóźnion|opóźnieni|zpožděn|késik|försenad|fördröjd|forsinket|viivästynyt|задержано|задержка|отложено|пока не доставлено|затримк|gecikti|ertelendi|καθυστέρηση",
    "配信が遅れ|配信遅延|遅延|再送を試み|まだ配信されて|延迟|延遲|稍后重试|暂时无法|将继续尝试|将重试|지연|재시도|تأخير|تأخر|עיכוב|trì hoãn|tertunda|ล่าช้า",
)

DELIVERED = _any(
    "successful mail delivery|successfully delivered|delivery status notification (success|delivered successfully|was delivered to|has been delivered to|were delivered to|successful delivery|message delivered|mail delivered|delivery successful|delivery confirmation|return receipt|successfully relayed|been relayed|was relayed|relayed:|delivered:|delivery to these recipients or groups is complete|erfolgreich zugestellt|wurde zugestellt|zugestellt:|remis :|a été remis|a bien été|entregado:|se ha entregado|entregado correctamente|consegnato:|recapitato|è stato consegnato|entregue:|foi entregue|entrega bem|afgeleverd:|bezorgd:|dostarczono|doručeno|har levererats|er leveret|er levert|доставлено:|успешно доставлен|配信されました|配信しました|配信完了|已送达|已成功|投递成功|전송 완료|배달됨",
)

AUTO_SUBJECT = re.compile(
    r"\s*(?:\[?auto(?:matic(?:ally generated)?|mated|-)?[ -]?(?:reply|response|answer|replied|respuesta|generated)?\]?\s*[:\]]"
    r"|auto(?:matic|mated|)[ -]?(?:e-?mail |mail )?(?:reply|response|answer|acknowledge\w*)\b|out[ -]of[ -](?:the[ -])?office|ooo\s*:|\(?vacation|on (?:vacation|holiday|leave|annual leave|maternity|parental)|away from|i am (?:away|out)|i'm (?:away|out)"
    r"|abwesenheit|abwesend|automatische|antwort automatisch|nicht im (?:buro|haus)|urlaub|reponse automatique|message automatique|absence|absent|conges|respuesta automatica|fuera de (?:la )?oficina|ausente|ausencia|vacaciones"
    r"|risposta automatica|fuori (?:sede|ufficio)|assenza|in ferie|resposta automatica|fora do escritorio|ausencia|ferias|autosvar|automatisk|automaattinen|poissa|fravaer|franvaro|automatisch antwoord|afwezig"
    r"|automatyczna odpowiedz|autoodpowiedz|odpowiedz automatyczna|nieobecnosc|poza biurem|automaticka odpoved|nepritomnost|automatikus valasz|raspuns automat|otomatik (?:yanit|cevap)|ofis disinda|αυτοματη"
    r"|автоответ|автоматический ответ|автоматическии ответ|вне офиса|в отпуске|автовідповідь|автоматична відповідь|自動応答|自動返信|不在|自动回复|自動回覆|自动答复|外出|休假|자동 ?(?:회신|응답|답장)|부재|الرد التلقائي|رد تلقائي|תשובה אוטומטית|tra loi tu dong|balasan otomatis|ตอบกลับอัตโนมัติ)",
    re.IGNORECASE,
)

AUTO_TEXT = _any(
    "i am out of the office|i'm out of the office|i am currently out|i'm currently out|i will be out of|i am away|i'm away|currently away|on vacation|on annual leave|on maternity leave|on parental leave|on holiday|limited access to email|limited access to my email|limited access to e-mail|out of office until|will be back on|will return on|return to the office|this is an automatic reply|this is an automated reply|this is an automated response|this is an automatic response|this is an auto-reply|automatic acknowledgement|no longer with the company|have left the company|we have received your|thank you for contacting|thank you for your email|your ticket|ticket number|will get back to you|will respond to you as soon",
    "ich bin derzeit nicht im büro|nicht im büro|nicht erreichbar bis|bin im urlaub|abwesenheit|je suis absent|je suis en congé|absent du bureau|actuellement absent|estoy fuera de la oficina|estaré fuera|fuera de la oficina|sono fuori ufficio|sarò assente|estou ausente|estarei ausente|fora do escritório|ik ben afwezig|jestem nieobecn|jag är inte på kontoret|я в отпуске|меня нет в офисе|自动回复|自動返信|不在にして|부재중",
)

CHALLENGE = _any(
    "confirm that you are a human|verify that you are human|prove you are human|prove that you are human|challenge-response|challenge/response|confirm your message|confirm your email was|confirm delivery of your|to have your message delivered|to confirm that your message|release your message|complete the verification|verify your email address to deliver|verify your message|verification required|sender verification|confirm you sent|confirm that you sent|confirm this message|authenticate your message|request authorization|waiting for approval|your message is being held|message has been held|will be delivered once you|delivered after you confirm|please confirm your|please confirm (conf|click the link below to confirm|click the following link to confirm|only need to do this once|spam arrest|spamarrest|boxbe|tmda|add yourself to my|approved sender|added to the approved|mail is pending|held for moderation|awaits moderator approval",
)

# The names under which mail systems write.
DAEMON = re.compile(
    r"mailer[-_. ]?daemon|post-?master|mail ?delivery|mail[-_. ]?(?:system|service|agent|router|administrator|admin|gateway|marshal|sweeper)|delivery ?(?:system|subsystem|status|service|report)|system ?administrator|mail ?deliver|mdaemon|"
    r"microsoftexchange|microsoft ?outlook|undeliver|bounce|mail ?returned|maildelivery|internet ?mail ?(?:delivery|connector)|administrator@|<>|system attendant|(?:^|[<\s\"])(?:daemon|root|mailer|smtp|mta|uucp|exim|qmail|postfix|amavis|antispam|mailscanner|ndr|dsn)(?:[\w.-]*@|\b)|no-?reply-?(?:dsn|ndr|bounce)|systemadministrator|mail ?agent",
    re.IGNORECASE,
)
NOBODY = re.compile(
    r"(?:mailer[-_.]?daemon|post-?master|abuse|mail-?daemon|no-?reply|do-?not-?reply|helpdesk|hostmaster|webmaster|support|noreply[\w.+-]*|microsoftexchange\w*|admin|administrator|bounces?(?:[+-].*)?)@",
    re.IGNORECASE,
)
