"""Read receipts (RFC 8098): whoever sends one has the message."""

from mailops.protocol.dsn import Action, Dsn, DsnRecipient
from mailops.protocol.report import Report, addresses_in, blocks, first

_TYPE = "message/disposition-notification"
_DISPOSITIONS = ("displayed", "deleted", "dispatched", "processed", "read")


def from_report(report: Report) -> Dsn | None:
    """Return what a read receipt proves, in the form of a notification; None where it is none."""
    part = report.part(_TYPE, "message/global-disposition-notification")
    groups = blocks(part.text) if part else []
    found = next((group for group in groups if "disposition" in group), None)
    if found is None or not _has_arrived(first(found, "disposition")):
        return None
    final = addresses_in(first(found, "final-recipient"))
    original = addresses_in(first(found, "original-recipient"))
    return Dsn(
        recipients=(
            DsnRecipient(
                final_recipient=next(iter(final), ""),
                original_recipient=next(iter(original), ""),
                action=Action.DELIVERED,
                status="",
                diagnostic="",
                remote_mta="",
            ),
        ),
        original_message_id=first(found, "original-message-id") or report.returned.message_id,
        token=report.returned.token,
    )


def _has_arrived(disposition: str) -> bool:
    kind = disposition.rpartition(";")[2].strip().lower()
    return kind.startswith(_DISPOSITIONS) and "error" not in kind and "failed" not in kind
