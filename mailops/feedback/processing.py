"""Reads archived feedback: each piece is matched, recorded and concluded in one transaction, or quarantined."""

import contextlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import Error, connection, transaction
from django.db.models import Count, F
from django.db.models.functions import Greatest
from django.utils import timezone

from mailops.feedback.domain_reports import keep_report
from mailops.feedback.findings import Consequence, Finding, NotYet
from mailops.feedback.models import RawFeedback, RawFeedbackQuerySet, WebhookEndpoint
from mailops.feedback.reading_mail import read_mail
from mailops.feedback.reading_webhooks import fetch_proofs, read_webhooks
from mailops.lib.database_away import was_silent, will_pass
from mailops.lib.locks import session_lock
from mailops.lib.storable import storable, storable_json
from mailops.outbox.models import Event
from mailops.outbox.recording import Recorded, record
from mailops.outbox.taught import load_taught
from mailops.suppressions.suppressing import suppress
from mailops.tracking.counting import note_looks

logger = logging.getLogger(__name__)

BATCH = 100  # pieces in one transaction, under 5 s even where each suppresses
# of them together, but for one that is larger: a call may hold thousands of events
MOST_OCTETS = 2_000_000
MOST_UNFINISHED = 3
MOST_TOLD = 50  # events of a kind that a message may have before mail adds no more: whoever got it could send any number
TOLD_OFTEN = f"Its message was told this {MOST_TOLD} times before, so once more says nothing new; nothing was recorded."
GIVEN_UP = (
    f"Each of {MOST_UNFINISHED} readings ended the process that read it, or took too long, so it was given up and changed "
    "nothing. Replay it after an update."
)

_CONCLUDE = """
UPDATE feedback_rawfeedback r SET
    state = v.state, kind = v.kind, reason = v.reason, is_verified = v.is_verified, message_id = v.message_id,
    result = v.result, processed_at = %s, unfinished = 0
  FROM jsonb_to_recordset(%s::jsonb) AS v(
    id bigint, state text, kind text, reason text, is_verified boolean, message_id bigint, result jsonb)
 WHERE r.id = v.id
"""


def process_pending(limit: int = BATCH) -> int:
    """Read up to `limit` waiting pieces and return how many were taken; two may run at once."""
    due = RawFeedback.objects.due().order_by("id")
    fetch_proofs(RawFeedback.objects.filter(pk__in=due.values("pk")[:limit]).signed_by_amazon())
    return _process_suspect(due.suspect()) or _process_due(due.filter(unfinished=0), limit)


def _process_suspect(suspects: RawFeedbackQuerySet) -> int:
    # Alone, and no other suspect beside it: if the process ends again, it is known whose reading did it.
    if not suspects.exists():
        return 0
    with session_lock("feedback.suspect") as is_ours:
        return (_give_up(suspects) or _process_due(suspects, 1)) if is_ours else 0


def _process_due(due: RawFeedbackQuerySet, limit: int) -> int:
    # should the reading end this process, it is known that it began
    with transaction.atomic(durable=True):
        rows = _together(due.only("size").select_for_update(skip_locked=True)[:limit])
        begun = RawFeedback.objects.filter(pk__in=[row.pk for row in rows])
        begun.begin_reading()
    with _noting_end(begun):
        _process_begun(begun)
    return len(rows)


@contextlib.contextmanager
def _noting_end(begun: RawFeedbackQuerySet) -> Iterator[None]:
    """Note of readings that raise that they came to an end; those that succeed note it with what they found.

    One that outlasts the server's patience ends like one that ends its process: it would hold up the others for ever.
    """
    try:
        yield
    except Exception as error:
        # where the database is away, they are read alone once it is back
        with contextlib.suppress(Error):
            if not was_silent(error):
                begun.end_reading()
        raise


@transaction.atomic
def _process_begun(begun: RawFeedbackQuerySet) -> None:
    rows = list(begun.due().order_by("id").select_for_update(skip_locked=True))
    try:
        with transaction.atomic():
            _process(rows)
    except Exception as error:
        if will_pass(error):
            raise  # the database is away or broke a deadlock: everything waits for the next tick
        logger.exception("a batch of feedback could not be read together; reading it one by one")
        for row in rows:
            _process_alone(row)


def _give_up(rows: RawFeedbackQuerySet) -> int:
    """Give up those of `rows` whose readings ended their process each time; return how many."""
    given_up = rows.filter(unfinished__gte=MOST_UNFINISHED).update(
        state=RawFeedback.State.FAILED,
        reason=GIVEN_UP,
        unfinished=0,  # a replay is a new beginning
        processed_at=timezone.now(),
    )
    if given_up:
        logger.error("%s pieces of feedback were given up: %s", given_up, GIVEN_UP)
    return given_up


def process_one(row: RawFeedback) -> None:
    """Read one piece now, whatever its state."""
    fetch_proofs([row])
    own = RawFeedback.objects.filter(pk=row.pk)
    if _give_up(own):
        return
    with transaction.atomic(durable=True):
        own.begin_reading()
    with _noting_end(own), transaction.atomic():
        _process_alone(own.select_for_update().get())


def _process_alone(row: RawFeedback) -> None:
    # One piece that mailops can't read must not hold up the others; it is shown, and can be replayed.
    try:
        with transaction.atomic():
            _process([row])
    except Exception as error:
        if will_pass(error):
            raise
        logger.exception("feedback %s could not be read", row.pk)
        row.state = RawFeedback.State.FAILED
        row.reason = (
            f"mailops failed to read it ({type(error).__name__}); replay it after an update."
        )
        row.processed_at, row.unfinished = timezone.now(), 0
        row.save(update_fields=["state", "reason", "processed_at", "unfinished"])


def _together(rows: Iterable[RawFeedback]) -> list[RawFeedback]:
    """Return as many of `rows`, the first at least, as one transaction should hold; the others wait for the next."""
    found: list[RawFeedback] = []
    octets = 0
    for row in rows:
        octets += row.size
        if found and octets > MOST_OCTETS:
            break
        found.append(row)
    return found


def _process(rows: Sequence[RawFeedback]) -> None:
    load_taught(anew=True)
    read: list[tuple[RawFeedback, Finding]] = []
    for row, answer in _answers(rows):
        if isinstance(answer, NotYet):
            _postpone(row, answer)
        else:
            read.append((row, answer))
    read = _within_reason(read)
    consequences = _untold(read)
    recorded = record([one.outcome for one in consequences])
    for consequence, told in zip(consequences, recorded, strict=True):
        _suppress(consequence, told)
    note_looks([look for one in consequences for look in one.looks])
    _conclude(read)


def _within_reason(read: list[tuple[RawFeedback, Finding]]) -> list[tuple[RawFeedback, Finding]]:
    """Return what was read, with mails that tell once more what their message was told MOST_TOLD times coming to nothing.

    A mail that is only read again may be one of those.
    """
    mailed = {
        one.message.pk for row, finding in read if _is_new_mail(row) for one in finding.consequences
    }
    if not mailed:
        return read
    events = Event.objects.filter(message__in=mailed).order_by().values_list("message", "kind")
    counts = Counter({(pk, kind): n for pk, kind, n in events.annotate(Count("pk"))})
    found = []
    for row, finding in read:
        told = [(one.message.pk, str(one.outcome.kind)) for one in finding.consequences]
        if _is_new_mail(row) and any(counts[one] >= MOST_TOLD for one in told):
            found.append((row, replace(finding, reason=TOLD_OFTEN, consequences=())))
        else:
            counts.update(told)
            found.append((row, finding))
    return found


def _is_new_mail(row: RawFeedback) -> bool:
    return row.is_mail and row.processed_at is None


def _untold(read: Sequence[tuple[RawFeedback, Finding]]) -> list[Consequence]:
    """Return the consequences of what was read, but for those that a piece had when it was read before.

    They are known by their message, since an update may have changed what their events are called.
    """
    again = [
        (row.pk, one.message.pk)
        for row, finding in read
        if row.processed_at
        for one in finding.consequences
    ]
    told: set[tuple[Any, ...]] = set()
    if again:
        pieces, messages = zip(*again, strict=True)
        events = Event.objects.filter(message__in=messages, data__raw_feedback__in=pieces)
        told = set(events.values_list("message", "kind", "data__raw_feedback"))
    return [
        one
        for row, finding in read
        for one in finding.consequences
        if (one.message.pk, str(one.outcome.kind), row.pk) not in told
    ]


def _answers(rows: Sequence[RawFeedback]) -> Iterator[tuple[RawFeedback, Finding | NotYet]]:
    """Return what each of `rows` came to, in their order, which is that of their events."""
    webhooks = iter(read_webhooks([row for row in rows if row.is_webhook]))
    for row in rows:
        yield row, next(webhooks) if row.is_webhook else read_mail(row)


def _suppress(consequence: Consequence, told: Recorded) -> None:
    # What was known already changes nothing: a replay never undoes what a person took off the list since.
    if not (consequence.suppression and told.is_new):
        return
    # a bounce of an earlier round is void; what a recipient asked for is not
    if not (told.was_applied or consequence.was_asked_for):
        return
    message, outcome = consequence.message, consequence.outcome
    suppress(
        address=message.recipient,
        stream=message.stream if consequence.in_stream_only else None,
        reason=consequence.suppression,
        evidence_text=storable(str(outcome.reply) if outcome.reply else outcome.sentence),
        evidence_event_id=told.event_id,
    )


def _conclude(read: Sequence[tuple[RawFeedback, Finding]]) -> None:
    for row, finding in read:
        if finding.aggregate is not None:
            keep_report(finding.aggregate, row)
    values = [
        {
            "id": row.pk,
            "state": finding.state,
            "kind": finding.kind,
            "reason": storable(finding.reason),
            "is_verified": finding.is_verified,
            "message_id": finding.message.pk if finding.message else None,
            "result": storable_json(finding.result),
        }
        for row, finding in read
    ]
    with connection.cursor() as cursor:
        cursor.execute(_CONCLUDE, [timezone.now(), json.dumps(values)])
    # the last thing before the commit, since calls that come in wait for it
    _note_proven([row for row, finding in read if row.is_webhook and finding.is_verified])


def _note_proven(rows: Sequence[RawFeedback]) -> None:
    latest: dict[int, datetime] = {}
    for row in rows:
        if row.transport_id is None:
            continue
        latest[row.transport_id] = max(
            row.received_at, latest.get(row.transport_id, row.received_at)
        )
    for transport_id, heard_at in sorted(latest.items()):
        endpoint = WebhookEndpoint.objects.filter(transport=transport_id)
        endpoint.update(last_proven_at=Greatest("last_proven_at", heard_at))


def _postpone(row: RawFeedback, later: NotYet) -> None:
    row.reason, row.attempts, row.unfinished = later.sentence, F("attempts") + 1, 0
    row.due_at = timezone.now() + later.after
    row.save(update_fields=["reason", "attempts", "due_at", "unfinished"])
