"""Records what happened to messages: events, status, queue entry and tallies in one transaction."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from mailops.campaigns.models import Campaign
from mailops.lib.locks import despite_deadlocks
from mailops.lib.storable import storable, storable_json
from mailops.outbox.accepting import Handover, accept_claimed
from mailops.outbox.fold import COUNTED_ONCE, Told, fold
from mailops.outbox.keeping_hours import keep_hours
from mailops.outbox.ledger import (
    Row,
    bucket_of,
    fetch_dicts,
    fetch_first,
    insert_events,
    lock_messages,
    open_span,
    status_key,
    write_entries,
    write_messages,
    write_tallies,
)
from mailops.outbox.models import IMPLIED_BY, TOLD_BEFORE, CountKey, EventKind, Status
from mailops.outbox.rounds import Counted, Unanswered, doubts_of, last_doubt
from mailops.outbox.sightings import SHOWING, Sightings, signature_id_of
from mailops.outbox.slots import Slots, milliseconds_between, note_slots
from mailops.protocol.classification import OUR_FAULTS
from mailops.protocol.reply import Reply

logger = logging.getLogger(__name__)

# of a message that was put off when nothing was left to send
NOT_KEPT = "content_not_kept"
NOT_KEPT_SENTENCE = (
    "The server put it off, as was learned late. Its stream is sensitive, so its content was not kept and can't be sent "
    "again: whoever still needs it has to ask for a new one."
)
REPLY_LIMIT = 2000  # characters of a reply kept on message and event; servers have sent 100 KB


def kind_of_refusal(fault: str) -> EventKind:
    """Tell a refusal in session of the message, or an unknown one, from one that is ours to mend."""
    return EventKind.FAILED if fault in OUR_FAULTS else EventKind.BOUNCED


@dataclass(kw_only=True, slots=True)  # not frozen: made for each message, that would cost it 4 µs
class Outcome:
    """One thing that happened to one message; (`source`, `external_id`) is recorded at most once, ever."""

    message_id: int
    kind: EventKind
    source: str
    external_id: str
    occurred_at: datetime | None = None  # None: now, by the database's clock
    round: int | None = None  # the round it speaks of; None: the current one
    fence: int | None = None  # of the claim, for results of a session
    reply: Reply | None = None
    reason: str = ""
    fault: str = ""
    sentence: str = ""
    retry_after: int = 0  # seconds the peer asked for; a longer one wins over the stream's back-off
    transport_id: int | None = None
    transport_message_id: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """What became of an outcome; `is_new` False: it was known already and changed nothing."""

    message_id: int
    is_new: bool
    was_applied: bool
    status_before: Status
    status_after: Status
    event_id: int | None = None


class _CampaignMustBeLocked(Exception):
    """A late reply reopens a message: its campaign's row comes first in the order of locks (W6)."""


def record(outcomes: Iterable[Outcome]) -> list[Recorded]:
    """Record `outcomes` in order, in one transaction; recording the same ones again changes nothing.

    May run inside a caller's transaction. Raises OperationalError where the database is away or a deadlock
    with another recorder was broken: nothing was written then, and the call can be repeated.
    """
    batch = list(outcomes)
    if not batch:
        return []
    with transaction.atomic(savepoint=False):
        accepted = _accept(batch)
        rest = [outcome for outcome in batch if outcome.message_id not in accepted]
        folded = iter(_fold(rest))
        return [accepted.get(outcome.message_id) or next(folded) for outcome in batch]


def record_with_retry(outcomes: Iterable[Outcome]) -> list[Recorded]:
    """Record like `record()`, and again where a deadlock with another recorder was broken; outermost callers only."""
    return despite_deadlocks(partial(record, list(outcomes)))


def _accept(batch: Sequence[Outcome]) -> dict[int, Recorded]:
    """Take the quick way with what qualifies; return that by message id."""
    handovers = handovers_of(batch)
    if not handovers:
        return {}
    return {
        message_id: Recorded(message_id, True, True, Status(status), Status.ACCEPTED, event_id)
        for message_id, (status, event_id) in accept_claimed(handovers).items()
    }


def _fold(batch: Sequence[Outcome]) -> list[Recorded]:
    if not batch:
        return []
    try:
        with transaction.atomic():
            return _record(batch, locked_campaigns=frozenset())
    except _CampaignMustBeLocked:
        with transaction.atomic():
            campaigns = _lock_campaigns({outcome.message_id for outcome in batch})
            return _record(batch, locked_campaigns=campaigns)


def handovers_of(batch: Sequence[Outcome]) -> list[Handover]:
    """Return those of `batch` that are nothing but a positive reply, as `outbox.accepting` takes them."""
    times = Counter(outcome.message_id for outcome in batch)
    return [
        handover
        for outcome in batch
        if times[outcome.message_id] == 1 and (handover := _handover(outcome))
    ]


def _handover(outcome: Outcome) -> Handover | None:
    """Return the outcome as the quick way takes it, None where there is more to it than a positive reply."""
    if (
        outcome.kind != EventKind.ACCEPTED
        or outcome.fence is None
        or outcome.round is None
        or outcome.transport_id is None
        or outcome.reply is None
        or outcome.occurred_at is not None
        or outcome.reason
        or outcome.fault
        or outcome.sentence
    ):
        return None
    reply = outcome.reply
    return {
        "message_id": outcome.message_id,
        "source": outcome.source,
        "external_id": outcome.external_id,
        "fence": outcome.fence,
        "round": outcome.round,
        "transport_id": outcome.transport_id,
        "reply_code": reply.code,
        "reply_enhanced_status": reply.enhanced_status[:12],
        "reply_text": storable(reply.text, REPLY_LIMIT),
        "reply_command": reply.command[:12],
        "transport_message_id": storable(outcome.transport_message_id, 254),
        "data": storable_json(outcome.data),
    }


def _lock_campaigns(message_ids: set[int]) -> frozenset[int]:
    campaigns = Campaign.objects.filter(
        pk__in=fetch_first(
            "SELECT DISTINCT campaign_id FROM outbox_message WHERE id = ANY(%s)",
            [sorted(message_ids)],
        )
    )
    return frozenset(campaigns.order_by("pk").select_for_update().values_list("pk", flat=True))


def _record(batch: Sequence[Outcome], *, locked_campaigns: frozenset[int]) -> list[Recorded]:
    recording = _Recording(batch)
    recorded = [recording.take(outcome) for outcome in batch]
    reopened = recording.reopened_campaigns
    if reopened - locked_campaigns:
        raise _CampaignMustBeLocked
    event_ids = recording.write()
    if reopened:
        _reopen_completed(reopened)
    return [
        _with_event(one, outcome, event_ids) for one, outcome in zip(recorded, batch, strict=True)
    ]


class _Recording:
    """What one transaction makes of its messages, which it locks, and what it is to write of that."""

    def __init__(self, batch: Sequence[Outcome]) -> None:
        self._rows, self._now = lock_messages(sorted({outcome.message_id for outcome in batch}))
        self._known = _known_events(batch)
        unanswered = [row.id for row in self._rows.values() if row.standing.is_unanswered]
        self._doubts = doubts_of(unanswered)
        telling = {outcome.message_id for outcome in batch if outcome.kind in COUNTED_ONCE}
        self._counted = Counted(sorted(telling.union(unanswered)))
        self._events: list[dict[str, Any]] = []
        self._tallies: Counter[tuple[Any, ...]] = Counter()
        self._slots: Slots = {}
        self._sightings = Sightings()

    def take(self, outcome: Outcome) -> Recorded:
        """Change the message by one outcome, and note what is to be written of it."""
        row, key = self._rows.get(outcome.message_id), (outcome.source, outcome.external_id)
        if row is None:
            logger.warning("message %d, which a result is of, is not there", outcome.message_id)
            return _nothing_of(outcome)
        before = row.standing.status
        if key in self._known:
            return Recorded(row.id, False, False, before, before)
        self._known.add(key)
        event_round = row.standing.round if outcome.round is None else outcome.round
        unanswered = self._unanswered(row, outcome.round)
        applied = fold(row.standing, Told(outcome.kind, outcome.round, outcome.fence))
        row.is_touched |= applied
        if row.standing.implies_acceptance and unanswered:
            self._note_implied_acceptance(row, outcome, unanswered)
        counts = applied and self._counted.takes(outcome.kind, row, event_round, before)
        self._note(row, outcome, event_round, before, applied=applied, counts=counts)
        return Recorded(row.id, True, applied, before, row.standing.status)

    def _unanswered(self, row: Row, told_round: int | None) -> Unanswered | None:
        """Return the attempt that what is told of a round can be of: the one under way, else the last in doubt."""
        standing = row.standing
        if row.marked_at is not None and standing.has_body_on_its_way(told_round):
            return Unanswered(standing.round, row.marked_at, row.claimed_for)
        return last_doubt(
            self._doubts[row.id], standing.round if told_round is None else told_round
        )

    def _note_implied_acceptance(self, row: Row, outcome: Outcome, attempt: Unanswered) -> None:
        """Note, ahead of what it follows from, that the attempt without an answer was taken."""
        status = row.standing.status
        if self._counted.takes(EventKind.ACCEPTED, row, attempt.round, status):
            implied = _implied_acceptance(row, outcome, attempt)
            self._note(row, implied, attempt.round, status, applied=True, counts=True)

    def _note(
        self,
        row: Row,
        outcome: Outcome,
        event_round: int,
        before: Status,
        *,
        applied: bool,
        counts: bool,
    ) -> None:
        occurred_at = outcome.occurred_at or self._now
        signature_id = signature_id_of(outcome.kind, outcome.reply, row.columns["address_key"])
        took, waited = _latencies(row, outcome, occurred_at) if counts else (None, None)
        is_repeated = applied and not counts
        event = _event(
            outcome, row, occurred_at, event_round, counts=counts, is_repeated=is_repeated
        )
        self._events.append(
            {
                **event,
                "recorded_at": self._now,
                "took_ms": took,
                "waited_ms": waited,
                "signature_id": signature_id,
            }
        )
        if applied and outcome.transport_message_id:
            row.shown["transport_message_id"] = storable(outcome.transport_message_id, 254)
        if not counts:
            return
        _show(row, outcome, occurred_at, before)
        open_since = self._now - open_span()
        place = _tally(self._tallies, row, outcome, occurred_at, before, open_since=open_since)
        note_slots(self._slots, place, took=took, waited=waited)
        if signature_id is not None:
            if outcome.kind != EventKind.DELAYED or row.standing.status not in SHOWING:
                row.shown["signature_id"] = signature_id
            self._sightings.note(
                signature_id=signature_id,
                kind=outcome.kind,
                at=occurred_at,
                bucket=bucket_of(occurred_at),
                columns=row.columns,
                transport_id=row.columns["transport_id"],
            )

    @property
    def reopened_campaigns(self) -> set[int]:
        rows = self._rows.values()
        return {row.columns["campaign_id"] for row in rows if row.standing.was_reopened} - {None}

    def write(self) -> dict[tuple[str, str], int]:
        """Write all that was noted; return the id of each event by its source and external id."""
        touched = [row for row in self._rows.values() if row.is_touched]
        event_ids = insert_events(self._events)
        write_messages(touched)
        write_entries(touched)
        keep_hours(_queued_again(touched))
        write_tallies(self._tallies, self._slots)
        self._sightings.write()
        return event_ids


def _queued_again(rows: Iterable[Row]) -> dict[int, int]:
    """Return the campaigns' messages among `rows` that have a new due time, each with its campaign."""
    return {
        row.id: row.columns["campaign_id"]
        for row in rows
        if row.columns["campaign_id"]
        and row.standing.entry is not None
        and row.standing.entry.is_released
    }


def _nothing_of(outcome: Outcome) -> Recorded:
    """Return what becomes of a result whose message is gone: a restored database may never have had it."""
    return Recorded(outcome.message_id, False, False, Status.CANCELED, Status.CANCELED)


def _reopen_completed(campaign_ids: set[int]) -> None:
    # A canceled campaign stays so, and the next sweep cancels the message again; a paused one stays paused (W6).
    Campaign.objects.filter(pk__in=campaign_ids, state=Campaign.State.COMPLETED).update(
        state=Campaign.State.RUNNING, finished_at=None
    )


def _with_event(one: Recorded, outcome: Outcome, event_ids: dict[tuple[str, str], int]) -> Recorded:
    if not one.is_new:
        return one
    event_id = event_ids.get((outcome.source, outcome.external_id))
    return Recorded(
        one.message_id, True, one.was_applied, one.status_before, one.status_after, event_id
    )


def _known_events(batch: Sequence[Outcome]) -> set[tuple[str, str]]:
    # The messages are locked, and an external id belongs to one message: nobody else can insert these now.
    found = fetch_dicts(
        """
        SELECT source, external_id FROM outbox_event
         WHERE (source, external_id) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
        """,
        [[outcome.source for outcome in batch], [outcome.external_id for outcome in batch]],
    )
    return {(row["source"], row["external_id"]) for row in found}


def _implied_acceptance(row: Row, outcome: Outcome, attempt: Unanswered) -> Outcome:
    """Return that an attempt without an answer was taken, as follows from `outcome`."""
    who_told = None if row.columns["transport_id"] else outcome.transport_id
    return Outcome(
        message_id=row.id,
        kind=EventKind.ACCEPTED,
        source="outbox",
        external_id=f"{row.id}:{attempt.round}:implied",
        occurred_at=attempt.at,
        round=attempt.round,
        transport_id=attempt.transport_id or who_told,  # else it is of the one that is known
        sentence="No answer to it was read before this. It counts as accepted from here on, because of what was told: "
        f"“{outcome.kind.label}”.",
        data={IMPLIED_BY: outcome.kind},
    )


def _reply_columns(outcome: Outcome) -> dict[str, Any]:
    reply = outcome.reply
    return {
        "reply_code": reply.code if reply else None,
        "reply_enhanced_status": reply.enhanced_status[:12] if reply else "",
        "reply_text": storable(reply.text, REPLY_LIMIT) if reply else "",
        "reply_command": reply.command[:12] if reply else "",
    }


def _event(
    outcome: Outcome,
    row: Row,
    occurred_at: datetime,
    event_round: int,
    *,
    counts: bool,
    is_repeated: bool,
) -> dict[str, Any]:
    return {
        "message_id": row.id,
        "kind": outcome.kind,
        "source": outcome.source,
        "external_id": outcome.external_id,
        "occurred_at": occurred_at,
        "round": event_round,
        "fence": outcome.fence,
        "transport_id": outcome.transport_id,
        "reason": outcome.reason,
        "fault": outcome.fault,
        "sentence": storable(outcome.sentence, REPLY_LIMIT),
        "was_applied": counts,
        "data": _data(outcome, row) | ({TOLD_BEFORE: True} if is_repeated else {}),
        **_reply_columns(outcome),
    }


def _data(outcome: Outcome, row: Row) -> dict[str, Any]:
    # The entry, which knows when the content began to go out, is deleted with its mark: a relay's log is asked for
    # that time later.
    data: dict[str, Any] = storable_json(outcome.data)
    if outcome.kind == EventKind.UNCERTAIN and row.marked_at is not None:
        data = {"marked_at": row.marked_at.isoformat(), **data}
    return data


def _show(row: Row, outcome: Outcome, occurred_at: datetime, before: Status) -> None:
    """Note what the message's own columns will show of an event that counts."""
    row.retry_after = max(row.retry_after, outcome.retry_after)
    after = row.standing.status
    if outcome.transport_id is not None:
        row.columns["transport_id"] = outcome.transport_id
    if outcome.kind == EventKind.ACCEPTED and row.columns["accepted_at"] is None:
        row.columns["accepted_at"] = occurred_at
    if after != before or outcome.kind in {EventKind.DEFERRED, EventKind.RETURNED}:
        reason, sentence = _why(outcome, after)
        row.shown.update(
            reason=reason,
            sentence=storable(sentence, REPLY_LIMIT),
            settled_at=None if row.standing.entry is not None else occurred_at,
            **_reply_columns(outcome),
        )


def _why(outcome: Outcome, after: Status) -> tuple[str, str]:
    """Return the reason and the sentence that the message shows."""
    if outcome.kind == EventKind.DEFERRED and after == Status.FAILED:
        return NOT_KEPT, NOT_KEPT_SENTENCE
    return outcome.reason, outcome.sentence


def _tally(
    tallies: Counter[tuple[Any, ...]],
    row: Row,
    outcome: Outcome,
    occurred_at: datetime,
    before: Status,
    *,
    open_since: datetime,
) -> tuple[Any, ...]:
    """Count the event, and the message where it moved; return the event's key.

    What happened before counts were still open, or to mail that was accepted before, counts as of then.
    """
    columns, bucket = row.columns, bucket_of(max(occurred_at, open_since))
    accepted_at = columns["accepted_at"]
    cohort = bucket_of(max(accepted_at, open_since)) if accepted_at else bucket
    transport = (
        outcome.transport_id if outcome.transport_id is not None else columns["transport_id"]
    )
    key = (
        bucket, cohort, CountKey.Measure.EVENT, outcome.kind, outcome.reason, columns["stream_id"],
        columns["campaign_id"], transport, columns["domain_id"], columns["version_id"],
        columns["mailbox_provider"],
    )  # fmt: skip
    tallies[key] += 1
    after = row.standing.status
    if after != before:
        for status, n in ((before, -1), (after, 1)):
            tallies[status_key(columns, bucket, status)] += n
    return key


def _latencies(row: Row, outcome: Outcome, occurred_at: datetime) -> tuple[int | None, int | None]:
    """Return how many milliseconds it took, and how long the attempt had waited, of a first acceptance or a delivery.

    When an attempt without an answer was taken is not known so well.
    """
    if row.standing.implies_acceptance:
        return None, None
    if outcome.kind == EventKind.DELIVERED:
        return milliseconds_between(row.columns["accepted_at"], occurred_at), None
    if outcome.kind != EventKind.ACCEPTED:
        return None, None
    took = milliseconds_between(row.owed_at, occurred_at)
    waited = milliseconds_between(row.due_at, row.marked_at)
    row.owed_at = row.due_at = None  # told again, it was accepted before
    return took, waited
