"""The envelope sender and ENVID that name their message, signed (variable envelope return paths; RFC 3461, 4.4).

`b+<public id>.<round>.<signature>@<return-path host>`: at most 64 octets before the @ (RFC 5321, 4.5.3.1.1). Relays
change the case of local parts, so nothing in it depends on case.
"""

import re
from dataclasses import dataclass
from uuid import UUID

from mailops.protocol import signing

PREFIX = "b+"
MAX_ROUND = 32767  # a smallint

_TOKEN = re.compile(
    rf"([0-9a-f]{{32}})\.(0|[1-9]\d{{0,4}})\.([a-z2-7]{{{signing.LENGTH}}})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Token:
    """Which message and round a token speaks of; worth nothing until `is_signed_by` says so."""

    public_id: UUID
    round: int
    signature: str

    def is_signed_by(self, key: bytes) -> bool:
        return signing.is_signed(
            "verp", _signed_text(self.public_id, self.round), self.signature, key
        )


def make_token(public_id: UUID, round: int, key: bytes) -> str:  # noqa: A002 - the house's word
    """Return the bare token: the ENVID of an envelope, or the metadata a provider's API carries."""
    text = _signed_text(public_id, round)
    return f"{text}.{signing.sign('verp', text, key)}"


def make_envelope_sender(public_id: UUID, round: int, host: str, key: bytes) -> str:  # noqa: A002
    """Return the envelope sender of one round of one message."""
    return f"{PREFIX}{make_token(public_id, round, key)}@{host}"


def parse_token(text: str) -> Token | None:
    """Return the token that `text` is, or None; the signature is not checked yet."""
    found = _TOKEN.fullmatch(text.strip().strip("<>").lower()) if len(text) <= 200 else None
    if found is None or int(found[2]) > MAX_ROUND:
        return None
    return Token(UUID(hex=found[1]), int(found[2]), found[3])


def parse_envelope_sender(address: str) -> Token | None:
    """Return the token in a bounce's recipient, or None where the address is not of our form."""
    local_part, at, _ = address.strip().strip("<>").rpartition("@")
    if not at or not local_part.lower().startswith(PREFIX):
        return None
    return parse_token(local_part[len(PREFIX) :])


def _signed_text(public_id: UUID, round: int) -> str:  # noqa: A002
    if not 0 <= round <= MAX_ROUND:
        raise ValueError(f"round {round} is out of range")
    return f"{public_id.hex}.{round}"
