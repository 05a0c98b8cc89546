"""Read receipts (RFC 8098): whoever sends one has the message, unless a filter says by one that it refused it (RFC 5429)."""

import re

from mailops.protocol.dsn import Action, Dsn, DsnRecipient
from mailops.protocol.report import Fields, Report, addresses_in, blocks, first

MAX_SAID = 500

_TYPE = "message/disposition-notification"
_DISPOSITIONS = ("displayed", "deleted", "dispatched", "processed", "read")
_REFUSES = re.compile(r"\breject|\brefus|zuruckgewiesen|abgelehnt", re.IGNORECASE)


def from_report(report: Report) -> Dsn | None:
    """Return what a read receipt proves, in the form of a notification; None where it is none."""
    part = report.part(_TYPE, "message/global-disposition-notification")
    groups = blocks(part.text) if part else []
    found = next((group for group in groups if "disposition" in group), None)
    if found is None:
        return None
    disposition = first(found, "disposition").lower()
    if _is_refusal(report, disposition):
        return _notice(report, found, Action.FAILED, " ".join(report.told.split())[:MAX_SAID])
    return _notice(report, found, Action.DELIVERED, "") if _has_arrived(disposition) else None


def _notice(report: Report, found: Fields, action: Action, said: str) -> Dsn:
    final = addresses_in(first(found, "final-recipient"))
    original = addresses_in(first(found, "original-recipient"))
    recipient = DsnRecipient(
        final_recipient=next(iter(final), ""),
        original_recipient=next(iter(original), ""),
        action=action,
        status="",
        diagnostic=said,
        remote_mta="",
    )
    return Dsn(
        recipients=(recipient,),
        original_message_id=first(found, "original-message-id") or report.returned.message_id,
        token=report.returned.token,
    )


def _is_refusal(report: Report, disposition: str) -> bool:
    """Tell whether a filter deleted the message and says that it refused it."""
    is_automatic = disposition.startswith("automatic-action") and "deleted" in disposition
    said = f"{report.words_of('subject')}\n{report.told[:MAX_SAID]}"
    return is_automatic and _REFUSES.search(said) is not None


def _has_arrived(disposition: str) -> bool:
    kind = disposition.rpartition(";")[2].strip()
    return kind.startswith(_DISPOSITIONS) and "error" not in kind and "failed" not in kind
