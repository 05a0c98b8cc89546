"""Shows the mail a message was, or will be: the frozen data in the version it names."""

from dataclasses import dataclass

from mailops.content.rendering import Rendered, RenderError, compile_version
from mailops.content.variables import merge_data
from mailops.outbox import tokens
from mailops.outbox.models import Message


@dataclass(frozen=True)
class Shown:
    """The rendered mail, or the sentence that says why there is none to show."""

    mail: Rendered | None
    sentence: str = ""


def show_mail(message: Message) -> Shown:
    """Render the message as its recipient gets it; a sensitive stream shows nothing."""
    if message.stream.is_sensitive:
        return Shown(None, "This stream is sensitive: it stores and shows no content.")
    if message.version is None:
        return Shown(None, "This message was not made from a template.")
    page = "" if message.campaign_id else tokens.leaving_page(message.merge_data)
    is_left = message.stream.is_bulk or page
    url = tokens.unsubscribe_url(message.public_id, message.token_key_id, page) if is_left else ""
    data = merge_data(
        message.merge_data,
        email=message.recipient,
        unsubscribe_url=_disarmed(url),
        campaign_name=message.campaign.name if message.campaign else "",
        sender_name=message.identity.name,
        sender_email=message.identity.addr_spec,
    )
    try:
        return Shown(compile_version(message.version).render(data))
    except RenderError as error:
        return Shown(None, f"The template can't be filled in for this recipient: {error}")


def _disarmed(url: str) -> str:
    """Return the unsubscribe link without its token, so that a click on this page can't act for the recipient."""
    return url.rstrip("/").rpartition("/")[0] + "/…" if url else ""
