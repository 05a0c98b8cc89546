"""Archives feedback as it came, before anything reads it."""

import zlib
from typing import Any

from mailops.feedback.models import RawFeedback, content_hash
from mailops.lib.storable import storable

HEADERS_KEPT = 60
VALUE_KEPT = 1000


def row_of(
    *,
    source: RawFeedback.Source,
    content: bytes,
    peer: str,
    envelope_sender: str = "",
    envelope_recipients: list[str] | None = None,
    headers: dict[str, str] | None = None,
    transport_id: int | None = None,
    mailbox_id: int | None = None,
) -> RawFeedback:
    """Return the row of one piece of feedback, not stored yet."""
    recipients = [storable(address, 320) for address in envelope_recipients or []]
    return RawFeedback(
        source=source,
        transport_id=transport_id,
        mailbox_id=mailbox_id,
        peer=peer[:100],
        envelope_sender=storable(envelope_sender, 320),
        envelope_recipients=recipients,
        headers={
            storable(name, 100): storable(value, VALUE_KEPT)
            for name, value in list((headers or {}).items())[:HEADERS_KEPT]
        },
        content=zlib.compress(content),
        size=len(content),
        sha256=content_hash(recipients, content),
    )


def archive(**feedback: Any) -> None:
    """Store one piece of feedback, given as `row_of` takes it, once; raises DatabaseError where it could not be kept."""
    # Told twice is told once: a sender whose connection broke before our 250 comes again.
    RawFeedback.objects.bulk_create([row_of(**feedback)], ignore_conflicts=True)
