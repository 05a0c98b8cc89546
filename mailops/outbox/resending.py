"""Sends again what a filter chose, in chunks that can be cut off anywhere and doubled by nobody.

Only what certainly did not arrive is sent again: refused, failed or given up messages begin a new round, deferred ones
are due at once. What is in doubt is left to a person (`outbox.bulk_settling`), and nobody who is suppressed gets anything.

A campaign's retry that is too large for the press goes on here, too, by its own rules (`outbox.retrying`).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.campaigns.models import Campaign
from mailops.lib.chunks import MAX_FAILURES, count_failure, stop_all, stop_one, take
from mailops.outbox.doubtful import moment
from mailops.outbox.forms import MessageFilterForm, words_of
from mailops.outbox.keeping_hours import keep_hours
from mailops.outbox.ledger import fetch_first
from mailops.outbox.listing import WITHOUT_INDEX
from mailops.outbox.models import IS_ASKED, EventKind, Message, Resending, Status
from mailops.outbox.recording import Outcome, record
from mailops.outbox.retrying import (
    CHUNK,
    IS_CANCELED,
    IS_SUPPRESSED,
    IS_UNFIT,
    IS_WAITING,
    MoreThanCounted,
    NothingToRetry,
    lock_campaign,
    lock_sendable,
    note_reopened,
    note_retry,
    queue_again,
    reopen,
    retriable,
    unchanged_since,
)
from mailops.outbox.searching import chosen_by, with_status
from mailops.outbox.waiting import COUNTED

AGAIN = (Status.BOUNCED, Status.FAILED, Status.EXPIRED)  # certainly not there
SOONER = Status.DEFERRED

_DOUBTFUL = (IS_ASKED, Q(status=Status.UNCERTAIN))
_FOUND_BY = ("q", "campaign", "answered_since", "answered_until")  # by an index
_FORGOTTEN = Q(stream__is_sensitive=True) & ~Q(status=SOONER)


class NothingToResend(Exception):
    """No message of the filter can be sent again any more; the text says so."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What sending again would do, before anything happens."""

    until: datetime
    again: int = 0  # in a new round
    sooner: int = 0  # deferred ones, at once
    waiting: int = 0  # of those, by campaigns or streams that are paused
    suppressed: int = 0  # left out, as all below
    forgotten: int = 0
    canceled: int = 0
    unfit: int = 0  # of completed campaigns that fit their stream no more
    uncertain: int = 0
    # on their way, arrived, held, or stopped by a person, counted up to COUNTED; None: no index finds them
    elsewhere: int | None = 0
    COUNTED: ClassVar = COUNTED

    @property
    def does(self) -> int:
        return self.again + self.sooner


def plan(chosen: Mapping[str, Any]) -> Plan:
    """Return what would happen to the messages that a filter, validated, stands for now."""
    until, _ = moment()
    numbers: Counter[str] = Counter()
    found = chosen_by(chosen)
    for part in _parts(found, until=until):
        marked = part.annotate(is_suppressed=IS_SUPPRESSED)
        free = ~IS_CANCELED & ~IS_UNFIT & ~_FORGOTTEN
        numbers.update(
            marked.aggregate(
                again=Count("pk", filter=free & Q(is_suppressed=False) & ~Q(status=SOONER)),
                sooner=Count("pk", filter=free & Q(is_suppressed=False, status=SOONER)),
                waiting=Count("pk", filter=free & IS_WAITING & Q(is_suppressed=False)),
                suppressed=Count("pk", filter=free & Q(is_suppressed=True)),
                forgotten=Count("pk", filter=~IS_CANCELED & ~IS_UNFIT & _FORGOTTEN),
                canceled=Count("pk", filter=IS_CANCELED),
                unfit=Count("pk", filter=IS_UNFIT),
            )
        )
    uncertain = sum(found.filter(doubt).count() for doubt in _DOUBTFUL)
    return Plan(until=until, uncertain=uncertain, elsewhere=_elsewhere(found, chosen), **numbers)


def _elsewhere(found: QuerySet[Message], chosen: Mapping[str, Any]) -> int | None:
    """Count what is neither sent again nor in doubt; None where the whole ledger would be read for that."""
    if chosen["status"] in {*AGAIN, SOONER, Status.UNCERTAIN}:
        return 0
    if not _is_found_by_index(chosen):
        return None
    asked, uncertain = _DOUBTFUL
    others = found.exclude(status__in=[*AGAIN, SOONER]).exclude(asked | uncertain)
    return others[:COUNTED].count()


def _is_found_by_index(chosen: Mapping[str, Any]) -> bool:
    """Tell whether an index finds all that a filter stands for; a status has one, but not with what has none."""
    if chosen["signature"] is not None or any(chosen[name] for name in _FOUND_BY):
        return True
    return bool(chosen["status"]) and not any(chosen[name] for name in WITHOUT_INDEX)


def _parts(found: QuerySet[Message], *, until: datetime) -> list[QuerySet[Message]]:
    """Return what is meant of `found`, a part for each status, so that each is read along an index."""
    ended = [found.filter(status=status, settled_at__lte=until) for status in AGAIN]
    return [*ended, found.filter(status=SOONER, created_at__lte=until)]


def _sendable(found: QuerySet[Message], *, until: datetime) -> list[QuerySet[Message]]:
    return [
        part.exclude(IS_CANCELED | IS_UNFIT | _FORGOTTEN).exclude(IS_SUPPRESSED)
        for part in _parts(found, until=until)
    ]


def start_resending(
    *, key: UUID, chosen: dict[str, str], until: datetime, words: list[str], actor: User
) -> Resending:
    """Begin to send again what the filter `chosen` stood for at `until`; the same key begins it once.

    Raise NothingToResend where that is nothing.
    """
    with transaction.atomic():
        known = Resending.objects.filter(key=key).first()
        if known is not None:
            return known
        found = chosen_by(_validated(chosen))
        planned = sum(part.count() for part in _sendable(found, until=until))
        if not planned:
            raise NothingToResend("Nothing is sent again: all that you saw changed meanwhile.")
        given = {"chosen": chosen, "until": until, "planned": planned, "created_by": actor}
        run, is_new = Resending.objects.get_or_create(key=key, defaults=given)
        if is_new:
            _note_start(run, words)
    return run


def _note_start(run: Resending, words: list[str]) -> None:
    audit(
        actor=run.created_by,
        verb="resending.start",
        subject=run,
        after={"messages": run.planned, "which": ", ".join(words) or "all"},
    )


def start_retry(
    *,
    key: UUID,
    campaign: Campaign,
    chosen: dict[str, str],
    until: datetime,
    most: int,
    actor: User,
) -> Resending:
    """Begin to send again what the filter `chosen` stood for at `until` in the campaign, and let that run.

    The same key begins it once. Raise NothingToRetry where there is none, MoreThanCounted where there are more than
    `most`.
    """
    filters = _validated(chosen)
    seen = unchanged_since(chosen_by(filters), until)
    planned = retriable(seen).count()  # before the lock, since that takes a while
    with transaction.atomic():
        locked = lock_campaign(campaign.pk)
        known = Resending.objects.filter(key=key).first()
        if known is not None:
            return known
        if Resending.objects.retrying(locked).exists():
            raise NothingToRetry(
                "Messages of this campaign are being sent again already: wait until that is over, or stop it."
            )
        if planned > most:
            raise MoreThanCounted
        if not planned:
            raise NothingToRetry
        before = reopen(locked)
        run = Resending.objects.create(
            key=key, campaign=locked, chosen=chosen, until=until, planned=planned, created_by=actor
        )
        note_retry(locked, before=before, messages=planned, actor=actor)
        _note_start(run, words_of(filters))
    return run


def _validated(chosen: Mapping[str, str]) -> dict[str, Any]:
    form = MessageFilterForm(chosen)
    if not form.is_valid():  # a stream of it was deleted since
        raise NothingToResend("What the filter named is gone.")
    return form.cleaned_data


def resend_chunk(*, resending_id: int, most: int = CHUNK) -> bool:
    """Queue the next messages again; return whether more may be waiting (False also where another process is at it)."""
    with transaction.atomic():
        run = take(Resending.objects.all(), resending_id)
        if run is None:
            return False
        if run.campaign_id is not None and lock_campaign(run.campaign_id).is_canceled:
            sentence = "The campaign was canceled: what was not queued yet stays as it is."
            _finish(run, Resending.State.STOPPED, actor=None, sentence=sentence)
            return False
        ids = _next(run, most)
        if not ids:
            _finish(run, Resending.State.COMPLETED, actor=run.created_by)
            return False
        if run.campaign_id is not None:
            _retry(run, ids)
        else:
            _resend(run, ids)
        run.cursor, run.failures = ids[-1], 0
        run.save()
    return True


def _next(run: Resending, most: int) -> list[int]:
    ids: list[int] = []
    for part in _ahead(run):
        found = part.filter(pk__gt=run.cursor).order_by("pk")
        ids += found.values_list("pk", flat=True)[:most]
    return sorted(ids)[:most]


def _ahead(run: Resending) -> list[QuerySet[Message]]:
    """Return what a run walks through, each part along an index."""
    if run.campaign_id is None:
        return _sendable(chosen_by(_validated(run.chosen)), until=run.until)
    # which of them are meant is asked of each chunk: so none reads more rows than it may queue
    return [with_status(Message.objects.filter(campaign=run.campaign_id), run.chosen["status"])]


def _retry(run: Resending, ids: list[int]) -> None:
    """Queue those of the next messages of a locked campaign again that are still as the person saw them."""
    seen = unchanged_since(chosen_by(_validated(run.chosen)), run.until)
    run.queued += queue_again(seen.filter(pk__in=ids), by=run.actor_name, resending=run.pk)


def _resend(run: Resending, ids: list[int]) -> None:
    states = _lock_campaigns(ids)
    messages = _lock(ids, states)
    queued = _queue_again(run, messages, states)
    hastened = _hasten([one for one in messages if one.status == SOONER])
    run.queued += queued
    run.hastened += hastened
    run.passed_over += len(ids) - queued - hastened


def _lock_campaigns(ids: list[int]) -> dict[int, str]:
    campaigns = fetch_first(
        "SELECT DISTINCT campaign_id FROM outbox_message WHERE id = ANY(%s)", [ids]
    )
    return lock_sendable(pk for pk in campaigns if pk is not None)


def _lock(ids: list[int], states: Mapping[int, str]) -> list[Message]:
    """Lock the messages, and return those that are still as they were chosen: never one that is in doubt by now."""
    rows = Message.objects.filter(pk__in=ids).order_by("pk").select_for_update(of=("self",))
    return [
        one
        for one in rows.only("pk", "status", "round", "campaign_id")
        if one.status in {*AGAIN, SOONER} and (one.campaign_id is None or one.campaign_id in states)
    ]


def _queue_again(run: Resending, messages: list[Message], states: Mapping[int, str]) -> int:
    ended = [one for one in messages if one.status != SOONER]
    recorded = record(
        Outcome(
            message_id=one.pk,
            kind=EventKind.REQUEUED,
            source="person",
            external_id=f"resending:{run.pk}:{one.pk}",
            data={"by": run.actor_name, "resending": run.pk},
        )
        for one in ended
    )
    applied = [one for one, told in zip(ended, recorded, strict=True) if told.was_applied]
    note_reopened(states, [one.campaign_id for one in applied], actor=run.created_by)
    return len(applied)


def _hasten(messages: list[Message]) -> int:
    """Let deferred messages be due at once, within their campaigns' hours; return how many: not what a worker has."""
    if not messages:
        return 0
    due = fetch_first(
        """
        UPDATE outbox_queueentry SET due_at = least(due_at, clock_timestamp())
         WHERE message_id = ANY(%s) AND worker_id IS NULL AND NOT is_held RETURNING message_id
        """,
        [[one.pk for one in messages]],
    )
    campaigns = {one.pk: one.campaign_id for one in messages if one.campaign_id}
    keep_hours({pk: campaigns[pk] for pk in due if pk in campaigns})
    return len(due)


_ENDS = {
    Resending.State.COMPLETED: "resending.complete",
    Resending.State.STOPPED: "resending.stop",
    Resending.State.FAILED: "resending.fail",
}


def _finish(
    run: Resending, state: Resending.State, *, actor: User | None, sentence: str = ""
) -> None:
    run.finish(state, sentence)
    run.save()
    left_out = {"left out": run.left_out} if run.is_completed else {}
    done = {"queued": run.queued, "hastened": run.hastened, "passed over": run.passed_over}
    audit(actor=actor, verb=_ENDS[state], subject=run, after={**done, **left_out})


def stop_resending(*, run: Resending, actor: User) -> bool:
    """Leave what is not queued yet as it is; False where it was over already."""

    def stop(run: Resending) -> None:
        sentence = f"{actor} stopped it after {run.looked_at:,} of {run.planned:,} messages."
        _finish(run, Resending.State.STOPPED, actor=actor, sentence=sentence)

    return stop_one(Resending.objects.all(), run.pk, stop)


def stop_resendings(sentence: str) -> list[str]:
    """Stop all that go on, without a person, and say why; return what each was to do."""
    stop = partial(_finish, state=Resending.State.STOPPED, actor=None, sentence=sentence)
    return stop_all(Resending.objects.all(), stop)


def note_failure(resending_id: int, error: Exception) -> None:
    """Count a chunk that could not be queued; after a few in a row it fails and says why."""
    count_failure(Resending.objects.all(), resending_id, error, give_up=_give_up)


def _give_up(run: Resending) -> None:
    sentence = (
        f"The next messages could not be queued in {MAX_FAILURES} tries; "
        f"the {run.queued:,} before them are."
    )
    _finish(run, Resending.State.FAILED, actor=run.created_by, sentence=sentence)
