"""Signs what lets feedback find its message: envelope senders, ENVIDs, Message-IDs and unsubscribe links."""

from base64 import b64decode
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from mailops.protocol import unsubscribe, verp


def current_token_key_id() -> str:
    """Return the id of the key that signs new messages; the id stays on the row, so rotating changes nothing sent."""
    return next(iter(settings.MAILOPS_TOKEN_KEYS))


def token_key(key_id: str) -> bytes | None:
    """Return the key that signed a message's tokens, None where the installation no longer has it."""
    key = settings.MAILOPS_TOKEN_KEYS.get(key_id)
    return _decoded(key) if key else None


def signing_key(key_id: str) -> bytes:
    """Return the key for signing; a message whose key is gone is signed with the current one."""
    return token_key(key_id) or _decoded(settings.MAILOPS_TOKEN_KEYS[current_token_key_id()])


_decoded = lru_cache(maxsize=16)(b64decode)


def envelope_sender(public_id: UUID, round: int, key_id: str, host: str = "") -> str:  # noqa: A002 - the house's word
    host = host or settings.MAILOPS_RETURN_PATH_HOST
    return verp.make_envelope_sender(public_id, round, host, signing_key(key_id))


def envid(public_id: UUID, round: int, key_id: str) -> str:  # noqa: A002
    return verp.make_token(public_id, round, signing_key(key_id))


def unsubscribe_mail_address(public_id: UUID, key_id: str) -> str:
    """Return the address to which a mail unsubscribes; empty where no mail from outside can come (RFC 6761, 6.3).

    It is at the installation's own host: a transport's return-path host may have its provider's MX.
    """
    host = settings.MAILOPS_RETURN_PATH_HOST
    if f".{host}".endswith(".localhost"):
        return ""
    return unsubscribe.make_mail_address(public_id, host, signing_key(key_id))


_STREAMS_PAGE = "feedback:unsubscribe"  # leaves the message's stream
# in the data of a single message: which other page its recipient leaves at
LEAVING_PAGE = "leaving_page"
_OTHER_PAGES = frozenset({"digests:leave"})


def leaving_page(merge_data: Mapping[str, Any]) -> str:
    """Return the page of its own at which the recipient of a single message leaves, or "" where it has none."""
    page = merge_data.get(LEAVING_PAGE)
    return page if isinstance(page, str) and page in _OTHER_PAGES else ""


def unsubscribe_url(public_id: UUID, key_id: str, page: str = "") -> str:
    token = unsubscribe.make_token(public_id, signing_key(key_id))
    path = unsubscribe_path(page) if page else unsubscribe_path()
    return settings.MAILOPS_BASE_URL + path.replace(_ANY_TOKEN, token)


_ANY_TOKEN = "TOKEN"  # noqa: S105 - no secret, but the place of one


@cache
def unsubscribe_path(page: str = _STREAMS_PAGE) -> str:
    """Return the path of every unsubscribe page, with a word where the token stands; to reverse one takes Django longer than to sign it."""
    return reverse(page, args=[_ANY_TOKEN])
