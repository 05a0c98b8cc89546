"""Message-IDs (RFC 5322, 3.6.4) made from a message's public id, and read back from replies and reports."""

import re
from uuid import UUID

_MADE = re.compile(r"<?([0-9a-f]{32})@([a-z0-9.-]{1,253})>?", re.ASCII)


def make_message_id(public_id: UUID, header_from_domain: str) -> str:
    """Return the Message-ID, angle brackets and all, of every round of one message."""
    return f"<{public_id.hex}@{header_from_domain}>"


def parse_message_id(text: str) -> tuple[UUID, str] | None:
    """Return the public id and domain of a Message-ID of our form, or None; it is no proof that we sent it."""
    found = _MADE.fullmatch(text.strip().lower()) if len(text) <= 400 else None
    return (UUID(hex=found[1]), found[2]) if found else None
