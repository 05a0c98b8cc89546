"""A person's act on many uncertain messages, in chunks that can be cut off anywhere and doubled by nobody.

A chunk is one transaction: it locks the act's row, takes the next messages that are still in the doubt the person saw,
records what was decided, and moves cursor and counts. Whoever comes second finds the row locked or the cursor moved.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q, QuerySet, Value

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.campaigns.models import Campaign
from mailops.lib.chunks import MAX_FAILURES, count_failure, stop_all, stop_one, take
from mailops.outbox.doubtful import Choice, doubtful, doubtful_at, moment
from mailops.outbox.doubting import take_into_doubt
from mailops.outbox.models import (
    EventKind,
    Message,
    QueueEntry,
    RelayLog,
    Settlement,
    Status,
)
from mailops.outbox.recording import Outcome, record
from mailops.outbox.relay_log_verdicts import (
    consequence_of,
    findings_to_apply,
    suppress_what_bounced,
    untraced,
)
from mailops.outbox.retrying import (
    IS_CANCELED,
    IS_SUPPRESSED,
    IS_UNFIT,
    IS_WAITING,
    lock_sendable,
    note_reopened,
)
from mailops.outbox.taught import load_taught

CHUNK = 500
NOT_READ = "Nothing is settled by this log: it was not read to its end."


class NothingToSettle(Exception):
    """No message is in the doubt the person saw; the text says so."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an act would do, before anything happens."""

    act: str
    until: datetime
    fence_until: int
    chosen: int  # the doubtful ones that fit
    forgotten: int = 0  # of those, their content was not kept, so they can't be sent again
    canceled: int = 0  # of those, their campaign is canceled
    unfit: int = 0  # of those, their campaign is completed and fits its stream no more
    suppressed: int = 0  # of those, they must not be written to
    waiting: int = 0  # of those that go out again, by campaigns or streams that are paused

    @property
    def does(self) -> int:
        return self.chosen - self.forgotten - self.canceled - self.unfit - self.suppressed

    @property
    def is_again(self) -> bool:
        return self.act == Settlement.Act.AGAIN


def plan(
    *,
    act: str,
    choice: Choice | None = None,
    log: RelayLog | None = None,
    at: datetime | None = None,
) -> Plan:
    """Return what `act` would do to what is doubtful now, or was at `at`."""
    until, fence_until = moment()
    if at is not None:
        until = min(at, until)
    parts = _chosen(act, choice or Choice(), log, until=until, fence_until=fence_until)
    wanted = {"chosen": Count("pk")}
    if act == Settlement.Act.AGAIN:
        wanted["forgotten"] = Count("pk", filter=_FORGOTTEN)
        wanted["canceled"] = Count("pk", filter=~_FORGOTTEN & IS_CANCELED)
        wanted["unfit"] = Count("pk", filter=~_FORGOTTEN & IS_UNFIT)
        free = ~_FORGOTTEN & ~IS_CANCELED & ~IS_UNFIT
        wanted["suppressed"] = Count("pk", filter=free & Q(is_suppressed=True))
        wanted["waiting"] = Count("pk", filter=free & IS_WAITING & Q(is_suppressed=False))
        parts = [part.annotate(is_suppressed=IS_SUPPRESSED) for part in parts]
    numbers: Counter[str] = Counter()
    for part in parts:
        numbers.update(part.aggregate(**wanted))
    return Plan(act=act, until=until, fence_until=fence_until, **numbers)


_FORGOTTEN = Q(status=Status.UNCERTAIN, stream__is_sensitive=True)


def _sendable(part: QuerySet[Message]) -> QuerySet[Message]:
    return part.exclude(_FORGOTTEN | IS_CANCELED | IS_UNFIT).exclude(IS_SUPPRESSED)


def _chosen(
    act: str, choice: Choice, log: RelayLog | None, *, until: datetime, fence_until: int
) -> list[QuerySet[Message]]:
    parts = [doubtful_at(part, until=until, fence_until=fence_until) for part in doubtful(choice)]
    if log is not None and act == Settlement.Act.AGAIN:
        return [untraced(part, log) for part in parts]
    return parts


def start_settlement(
    *,
    key: UUID,
    act: str,
    actor: User,
    until: datetime,
    choice: Choice | None = None,
    log: RelayLog | None = None,
    trusts_recipients: bool = False,
) -> Settlement:
    """Begin an act on what was doubtful at `until`; the same key begins it once. Raise NothingToSettle for none.

    So it does for a log that is not read to its end: what the rest of it says was taken would be sent twice.
    """
    choice = choice or Choice()
    if log is not None and not log.is_completed:
        raise NothingToSettle(NOT_READ)
    with transaction.atomic():
        known = Settlement.objects.filter(key=key).first()
        if known is not None:
            return known
        _, fence_until = moment()
        given = {
            "act": act, "until": until, "fence_until": fence_until, "campaign": choice.campaign,
            "stream": choice.stream, "transport": choice.transport, "reason": choice.reason,
            "is_asked": choice.is_asked, "relay_log": log, "trusts_recipients": trusts_recipients,
            "created_by": actor,
        }  # fmt: skip
        planned = _count(Settlement(key=key, **given))
        if not planned:
            raise NothingToSettle(_why_nothing(act, choice, log, until))
        run, is_new = Settlement.objects.get_or_create(
            key=key, defaults={**given, "planned": planned}
        )
        if is_new:
            audit(
                actor=actor,
                verb="settlement.start",
                subject=run,
                after={"act": act, "messages": run.planned, **described(run)},
            )
    return run


def _why_nothing(act: str, choice: Choice, log: RelayLog | None, until: datetime) -> str:
    """Say why an act does nothing to what was doubtful at `until`."""
    left = plan(act=act, choice=choice, log=log, at=until) if act == Settlement.Act.AGAIN else None
    if left is None or not left.chosen:
        return "Nothing fits any more: what you saw was settled meanwhile."
    numbers = (
        (left.suppressed, "suppressed"),
        (left.canceled, "of canceled campaigns"),
        (left.unfit, "of completed campaigns that fit their stream no more"),
        (left.forgotten, "of streams that keep no content"),
    )
    said = ", ".join(f"{n:,} {why}" for n, why in numbers if n)
    return f"Nothing is sent again, and what you saw stays as it is: {said}."


def described(run: Settlement) -> dict[str, Any]:
    """Return which messages an act is about, in words."""
    said = {
        "campaign": str(run.campaign) if run.campaign else "",
        "stream": str(run.stream) if run.stream else "",
        "transport": str(run.transport) if run.transport else "",
        "why": run.reason,
        "state": {True: Status.HELD, False: Status.UNCERTAIN, None: ""}[run.is_asked],
        "log": str(run.relay_log) if run.relay_log else "",
    }
    return {name: value for name, value in said.items() if value}


def choice_of(run: Settlement) -> Choice:
    """Return which messages an act is about."""
    return Choice(
        campaign=run.campaign,
        stream=run.stream,
        transport=run.transport,
        reason=run.reason,
        is_asked=run.is_asked,
    )


def _parts(run: Settlement) -> list[QuerySet[Message]]:
    parts = _chosen(
        run.act, choice_of(run), run.relay_log, until=run.until, fence_until=run.fence_until
    )
    return [_sendable(part) for part in parts] if run.act == Settlement.Act.AGAIN else parts


def _count(run: Settlement) -> int:
    if run.act == Settlement.Act.DOUBT:
        return QueueEntry.objects.filter(campaign=run.campaign, is_held=False).count()
    if run.act == Settlement.Act.BY_LOG:
        return findings_to_apply(run).count()
    return sum(part.count() for part in _parts(run))


def unfinished(runs: Iterable[Settlement]) -> set[int]:
    """Return the ids of those of `runs` that broke off, of which something is still to settle; it asks once for all."""
    left = [
        rest.order_by().annotate(run=Value(run.pk)).values("run")[:1]
        for run in runs
        for rest in _rest(run)
    ]
    if not left:
        return set()
    found = left[0].union(*left[1:], all=True) if left[1:] else left[0]
    return {row["run"] for row in found}


def _rest(run: Settlement) -> Sequence[QuerySet[Any]]:
    """Return what lies behind the last message that `run` looked at."""
    if run.act == Settlement.Act.DOUBT:
        waiting = QueueEntry.objects.filter(campaign__in=Campaign.objects.restored())
        return [waiting.filter(campaign=run.campaign, is_held=False)]
    if run.act == Settlement.Act.BY_LOG:
        if run.relay_log is None:
            return []
        return [findings_to_apply(run).filter(message_id__gt=run.cursor)]
    return [part.filter(pk__gt=run.cursor) for part in _parts(run)]


@dataclass(frozen=True)
class _Picked:
    message_id: int
    outcome: Outcome
    campaign_id: int | None


def settle_chunk(*, settlement_id: int, most: int = CHUNK) -> bool:
    """Settle the next messages; return whether more may be waiting (False also where another process is at it)."""
    with transaction.atomic():
        run = take(Settlement.objects.all(), settlement_id)
        if run is None:
            return False
        if run.act == Settlement.Act.DOUBT and not _still_waits(run):
            _finish(
                run,
                Settlement.State.STOPPED,
                actor=run.created_by,
                sentence="The campaign does not wait any more, so nothing else of it comes into doubt.",
            )
            return False
        picked = _pick(run, most)
        if not picked:
            _finish(run, Settlement.State.COMPLETED, actor=run.created_by)
            return False
        states: dict[int, str] = {}
        done = picked
        if run.act == Settlement.Act.AGAIN:
            states = lock_sendable(one.campaign_id for one in picked if one.campaign_id is not None)
            done = [one for one in picked if one.campaign_id is None or one.campaign_id in states]
        recorded = record([one.outcome for one in done])
        suppress_what_bounced([one.outcome for one in done], recorded)
        applied = [one for one, told in zip(done, recorded, strict=True) if told.was_applied]
        note_reopened(states, [one.campaign_id for one in applied], actor=run.created_by)
        run.cursor = picked[-1].message_id
        run.settled += len(applied)
        run.passed_over += len(picked) - len(applied)
        run.failures = 0
        run.save()
    return True


def _still_waits(run: Settlement) -> bool:
    """Lock the campaign, and tell whether it still waits for a person's word after a restore."""
    if run.campaign_id is None:
        return False
    return Campaign.objects.select_for_update().get(pk=run.campaign_id).was_restored


def _pick(run: Settlement, most: int) -> list[_Picked]:
    if run.act == Settlement.Act.DOUBT:
        outcomes = take_into_doubt(campaign=run.campaign, after=run.cursor, most=most)
        return [_Picked(outcome.message_id, outcome, run.campaign_id) for outcome in outcomes]
    if run.act == Settlement.Act.BY_LOG:
        load_taught()
        found = findings_to_apply(run).filter(message_id__gt=run.cursor).order_by("message_id")
        rows = found.select_related("message")[:most]
        return [
            _Picked(row.message_id, consequence_of(row, run), row.message.campaign_id)
            for row in rows
        ]
    found_rows: list[Any] = []
    for part in _parts(run):
        ahead = part.filter(pk__gt=run.cursor).order_by("pk")
        found_rows += ahead.values_list("pk", "settling_fence", "campaign_id")[:most]
    chosen = sorted(found_rows)[:most]
    return [_Picked(pk, _outcome(run, pk, fence), campaign) for pk, fence, campaign in chosen]


def _outcome(run: Settlement, message_id: int, fence: int) -> Outcome:
    is_again = run.act == Settlement.Act.AGAIN
    return Outcome(
        message_id=message_id,
        kind=EventKind.REQUEUED if is_again else EventKind.SETTLED,
        source="person",
        external_id=f"settlement:{run.pk}:{message_id}",
        fence=fence,
        sentence=""
        if is_again
        else "A person decided that this message counts as accepted, with many others.",
        data={"by": run.actor_name, "settlement": run.pk},
    )


_ENDS = {
    Settlement.State.COMPLETED: "settlement.complete",
    Settlement.State.STOPPED: "settlement.stop",
    Settlement.State.FAILED: "settlement.fail",
}


def _finish(
    run: Settlement, state: Settlement.State, *, actor: User | None, sentence: str = ""
) -> None:
    run.finish(state, sentence)
    run.save()
    left_out = {"left out": run.left_out} if run.is_completed else {}
    audit(
        actor=actor,
        verb=_ENDS[state],
        subject=run,
        after={"settled": run.settled, "passed over": run.passed_over, **left_out},
    )


def stop_settlement(*, run: Settlement, actor: User) -> bool:
    """Leave what is not settled yet as it is; False where it was over already."""

    def stop(run: Settlement) -> None:
        sentence = f"{actor} stopped it after {run.settled:,} of {run.planned:,} messages."
        _finish(run, Settlement.State.STOPPED, actor=actor, sentence=sentence)

    return stop_one(Settlement.objects.all(), run.pk, stop)


def stop_settlements(sentence: str) -> list[str]:
    """Stop all that go on, without a person, and say why; return what each was to do."""
    stop = partial(_finish, state=Settlement.State.STOPPED, actor=None, sentence=sentence)
    return stop_all(Settlement.objects.all(), stop)


def note_failure(settlement_id: int, error: Exception) -> None:
    """Count a chunk that could not be settled; after a few in a row the act fails and says why."""
    count_failure(Settlement.objects.all(), settlement_id, error, give_up=_give_up)


def _give_up(run: Settlement) -> None:
    sentence = (
        f"The next messages could not be settled in {MAX_FAILURES} tries; "
        f"the {run.settled:,} before them are."
    )
    _finish(run, Settlement.State.FAILED, actor=run.created_by, sentence=sentence)
