"""Reads archived feedback: each piece is matched, recorded and concluded in one transaction, or quarantined."""

import logging
from collections.abc import Sequence

from django.db import OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from mailops.feedback.domain_reports import keep_report
from mailops.feedback.findings import Consequence, Finding, NotYet
from mailops.feedback.models import RawFeedback, WebhookEndpoint
from mailops.feedback.providers import read_webhook
from mailops.feedback.reading_mail import read_mail
from mailops.outbox.recording import Recorded, record
from mailops.outbox.taught import load_taught
from mailops.suppressions.suppressing import suppress

logger = logging.getLogger(__name__)

BATCH = 50  # pieces in one transaction, under 5 s even where each suppresses


@transaction.atomic
def process_pending(limit: int = BATCH) -> int:
    """Read up to `limit` waiting pieces and return how many were taken; two may run at once."""
    due = RawFeedback.objects.due().order_by("id")
    rows = list(due.select_for_update(skip_locked=True)[:limit])
    try:
        with transaction.atomic():
            _process(rows)
    except OperationalError:
        raise  # the database is away or broke a deadlock: everything waits for the next tick
    except Exception:
        logger.exception("a batch of feedback could not be read together; reading it one by one")
        for row in rows:
            _process_alone(row)
    return len(rows)


def process_one(row: RawFeedback) -> None:
    """Read one piece now, whatever its state."""
    with transaction.atomic():
        locked = RawFeedback.objects.select_for_update().get(pk=row.pk)
        _process_alone(locked)


def _process_alone(row: RawFeedback) -> None:
    # One piece that mailops can't read must not hold up the others; it is shown, and can be replayed.
    try:
        with transaction.atomic():
            _process([row])
    except OperationalError:
        raise
    except Exception as error:
        logger.exception("feedback %s could not be read", row.pk)
        row.state = RawFeedback.State.FAILED
        row.reason = (
            f"mailops failed to read it ({type(error).__name__}); replay it after an update."
        )
        row.processed_at = timezone.now()
        row.save(update_fields=["state", "reason", "processed_at"])


def _process(rows: Sequence[RawFeedback]) -> None:
    load_taught(anew=True)
    read: list[tuple[RawFeedback, Finding]] = []
    for row in rows:
        try:
            read.append((row, read_webhook(row) if row.is_webhook else read_mail(row)))
        except NotYet as later:
            _postpone(row, later)
    consequences = [one for _, finding in read for one in finding.consequences]
    recorded = record([one.outcome for one in consequences])
    for consequence, told in zip(consequences, recorded, strict=True):
        _suppress(consequence, told)
    for row, finding in read:
        _conclude(row, finding)


def _suppress(consequence: Consequence, told: Recorded) -> None:
    # What was known already changes nothing: a replay never undoes what a person took off the list since.
    if not (consequence.suppression and told.is_new and told.was_applied):
        return
    message, outcome = consequence.message, consequence.outcome
    suppress(
        address=message.recipient,
        stream=message.stream if consequence.in_stream_only else None,
        reason=consequence.suppression,
        evidence_text=str(outcome.reply) if outcome.reply else outcome.sentence,
        evidence_event_id=told.event_id,
    )


def _conclude(row: RawFeedback, finding: Finding) -> None:
    if finding.aggregate is not None:
        keep_report(finding.aggregate, row)
    row.state, row.kind, row.reason = finding.state, finding.kind, finding.reason
    row.is_verified, row.message, row.result = finding.is_verified, finding.message, finding.result
    row.processed_at = timezone.now()
    if row.is_webhook and row.is_verified:
        heard = WebhookEndpoint.objects.filter(transport=row.transport)
        heard.update(last_proven_at=Greatest("last_proven_at", row.received_at))
    row.save(
        update_fields=[
            "state", "kind", "reason", "is_verified", "message", "result", "processed_at",
        ]
    )  # fmt: skip


def _postpone(row: RawFeedback, later: NotYet) -> None:
    row.reason, row.attempts = later.sentence, F("attempts") + 1
    row.due_at = timezone.now() + later.after
    row.save(update_fields=["reason", "attempts", "due_at"])
