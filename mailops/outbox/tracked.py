"""Puts signed links and a picture of our own into one message's HTML, where its stream asks for that."""

from functools import cache, lru_cache
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from mailops.content.link_marks import MarkedLink, address_in
from mailops.content.rendering import Rendered
from mailops.outbox.tokens import current_token_key_id, signing_key, token_key
from mailops.protocol import looks
from mailops.protocol.unsubscribe import leads_to_leaving

_PICTURE = '<img src="{}" alt="" width="1" height="1" style="border:0">'
_ANY_TOKEN = "TOKEN"  # noqa: S105 - no secret, but the place of one


def track(
    rendered: Rendered, *, public_id: UUID, key_id: str, opens: bool, clicks: bool
) -> Rendered:
    """Return the mail of one message with its links led through us, and a picture; the text part stays as it is."""
    marks = rendered.marks
    if marks is None:
        return rendered
    key_id = key_id if token_key(key_id) else current_token_key_id()  # it stands in the token
    signer = looks.Signer(public_id, key_id, signing_key(key_id))
    clicked, opened = _addresses(settings.MAILOPS_TRACKING_URL)

    def lead_through_us(link: MarkedLink, value: str) -> str:
        page = _page(value)
        return clicked + signer.click(_number(link.written), *page) if page else ""

    picture = _PICTURE.format(opened + signer.open()) if opens else ""
    html = marks.fill(rendered.html, lead_through_us if clicks else None, picture)
    return Rendered(rendered.subject, html, rendered.text)


_number = lru_cache(maxsize=2048)(looks.link_number)


@lru_cache(maxsize=2048)  # most links of a mail are the same for all who get it
def _page(value: str) -> tuple[bytes, bytes] | None:
    """Return where an href leads, as it is and as a token holds it; None where it is left alone."""
    address = address_in(value)
    if not looks.is_page(address) or leads_to_leaving(address):
        return None
    target = address.encode("utf-8", "replace")
    if len(target) > looks.MAX_TARGET or address.startswith(_own_addresses()):
        return None
    return target, looks.encode(target)


def _own_addresses() -> tuple[str, str]:
    """Return how addresses of ours begin: to leave with one press, and what is led through us already, must stay."""
    return f"{settings.MAILOPS_BASE_URL}/", f"{settings.MAILOPS_TRACKING_URL}/"


@cache
def _addresses(base_url: str) -> tuple[str, str]:
    """Return how the addresses of clicks and of opens begin; to reverse one takes Django longer than to sign it."""
    places = (reverse(f"tracking:{name}", args=[_ANY_TOKEN]) for name in ("click", "open"))
    clicked, opened = (base_url.rstrip("/") + place.replace(_ANY_TOKEN, "") for place in places)
    return clicked, opened
