"""Archives feedback as it came, before anything reads it."""

import zlib
from collections.abc import Sequence
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
    proofs: Sequence[str] = (),
) -> RawFeedback:
    """Return the row of one piece of feedback, not stored yet; a call with other `proofs` is another one."""
    recipients = [storable(address, 320) for address in envelope_recipients or []]
    return RawFeedback(
        source=source,
        transport_id=transport_id,
        mailbox_id=mailbox_id,
        peer=storable(peer, 100),
        envelope_sender=storable(envelope_sender, 320),
        envelope_recipients=recipients,
        headers={
            storable(name, 100): storable(value, VALUE_KEPT)
            for name, value in list((headers or {}).items())[:HEADERS_KEPT]
        },
        content=zlib.compress(content),
        size=len(content),
        sha256=content_hash(
            recipients if transport_id is None else called(transport_id, proofs), content
        ),
    )


def called(transport_id: int, proofs: Sequence[str]) -> list[str]:
    """Return to whom and how a call came: the same words elsewhere, or with another proof, are another call."""
    return [f"transport {transport_id}", *proofs]


def archive(**feedback: Any) -> None:
    """Store one piece of feedback, given as `row_of` takes it, once; raises DatabaseError where it could not be kept."""
    # Told twice is told once: a sender whose connection broke before our 250 comes again.
    RawFeedback.objects.bulk_create([row_of(**feedback)], ignore_conflicts=True)
