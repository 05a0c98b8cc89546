"""The signed addresses by which a message's recipient is seen to open it, or to follow one of its links.

A click's token holds where it leads, so that a link of mail sent long ago works with nothing but the key at hand; and
leads nowhere that was not signed for that very message. `<key id>.<id, link, signature>.<target>`, an open's without a
target. Nothing in it needs escaping in HTML or in a URL, and it can't end a comment, as "--" before ">" would.
"""

import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error
from dataclasses import dataclass
from hashlib import blake2b
from uuid import UUID

# octets; with what it grows by, the address stays under 2,000, which all programs take
MAX_TARGET = 1400

_ALTERED = b"~_"
_ID, _LINK, _SIGNATURE = 16, 4, 12
_CLICK, _OPEN = b"mailops click", b"mailops open"  # a token of one kind is none of the other
_TOKEN = re.compile(
    r"([A-Za-z0-9]{1,8})\.([A-Za-z0-9~_]{38,43})(?:\.([A-Za-z0-9~_]{1,2000}))?", re.ASCII
)
# what any program takes for another machine's page; a browser reads "\" as "/", and "https:x" in ways of its own
_PAGE = re.compile(r"https?://[^\s/\\?#@\x00-\x20\x7f][^\s\\\x00-\x20\x7f]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LookToken:
    """What was opened or followed; worth nothing until `is_signed_by` says so."""

    key_id: str
    public_id: UUID
    link: int  # which one of its template's; 0 for an open
    target: str  # empty for an open
    signature: bytes

    def is_signed_by(self, key: bytes) -> bool:
        target = self.target.encode()
        if not target:
            wanted = _sign(_OPEN, self.public_id.bytes, key)
        else:
            wanted = _sign(_CLICK, self.public_id.bytes + _octets(self.link) + target, key)
        return hmac.compare_digest(wanted, self.signature)


def is_page(target: str) -> bool:
    """Tell whether `target` is an http or https address that every program reads alike, and short enough."""
    return len(target) <= MAX_TARGET and _PAGE.fullmatch(target) is not None


def link_number(written: str) -> int:
    """Return what stands in tokens for a link as its template writes it; never 0."""
    return int.from_bytes(blake2b(written.encode(), digest_size=_LINK).digest()) >> 1 or 1


class Signer:
    """Makes the tokens of one message."""

    __slots__ = ("_id", "_key", "_key_id")

    def __init__(self, public_id: UUID, key_id: str, key: bytes) -> None:
        self._id, self._key_id, self._key = public_id.bytes, key_id, key

    def click(self, link: int, target: bytes, encoded: bytes) -> str:
        """Return the token of one link; `encoded` is `encode(target)`, made once for all who get it."""
        about = self._id + _octets(link)
        proof = b64encode(about + _sign(_CLICK, about + target, self._key), _ALTERED)
        return f"{self._key_id}.{proof[:-1].decode()}.{encoded.decode()}"

    def open(self) -> str:
        return f"{self._key_id}.{encode(self._id + _sign(_OPEN, self._id, self._key)).decode()}"


def encode(octets: bytes) -> bytes:
    return b64encode(octets, _ALTERED).rstrip(b"=")


def parse_token(text: str) -> LookToken | None:
    """Return the token that `text` is, or None; the signature is not checked yet."""
    found = _TOKEN.fullmatch(text) if len(text) <= 2100 else None
    if found is None:
        return None
    about, target = _decoded(found[2]), _decoded(found[3] or "")
    is_click = found[3] is not None
    if about is None or target is None or len(about) != _ID + _SIGNATURE + _LINK * is_click:
        return None
    try:
        page = target.decode()
    except UnicodeDecodeError:
        return None
    if is_click and not is_page(page):
        return None
    link = int.from_bytes(about[_ID:-_SIGNATURE])
    return LookToken(found[1], UUID(bytes=about[:_ID]), link, page, about[-_SIGNATURE:])


def _sign(purpose: bytes, octets: bytes, key: bytes) -> bytes:
    return blake2b(octets, digest_size=_SIGNATURE, key=key, person=purpose).digest()


def _octets(link: int) -> bytes:
    return link.to_bytes(_LINK)


def _decoded(text: str) -> bytes | None:
    """Return the octets; None where there are none, or the text isn't just what `encode` writes for them."""
    try:
        octets = b64decode(text + "=" * (-len(text) % 4), _ALTERED, validate=True)
    except (Error, ValueError):
        return None
    return octets if encode(octets).decode() == text else None
