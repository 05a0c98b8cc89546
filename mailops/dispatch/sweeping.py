"""Sweeps: what is canceled, suppressed or expired is closed; what dead workers held is settled."""

import threading
import time
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import Error, connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from mailops.campaigns.models import Campaign
from mailops.dispatch.models import Pressure, Seat, Worker
from mailops.dispatch.releasing import release_claims_of_the_gone
from mailops.lib.locks import session_lock
from mailops.lib.plans import is_any
from mailops.lib.templatetags.words import OURS
from mailops.outbox.closing import close_all
from mailops.outbox.keeping_hours import move_changed, move_closed
from mailops.outbox.ledger import fetch_dicts
from mailops.outbox.models import EventKind, Message, QueueEntry
from mailops.outbox.recording import Outcome, record_with_retry
from mailops.outbox.resuming import give_whole_time
from mailops.suppressions.models import Suppression
from mailops.transports.models import ProviderLimit

CHUNK = 1000
SETTLED = timedelta(minutes=30)
KEEPING_SECONDS = 2.0  # then the task hands on to a new one
# longer than any transaction that suppresses, and than an outage of the tick
NEW_FOR = timedelta(minutes=2)
MOST_NEW = 10_000  # addresses that each tick looks up


def sweep_queue() -> None:
    """Read the whole queue for what must not leave any more; the claim passes it over, so nothing hurries.

    Old suppressions cover messages that were queued since, and time passes over others.
    """
    sweep_suppressed()
    sweep_expired()
    Seat.objects.exclude(worker__in=Worker.objects.alive()).delete()
    ends_at = time.monotonic() + KEEPING_SECONDS
    while move_to_their_pools() and time.monotonic() < ends_at:
        pass


def move_to_their_pools(*, most: int = 50_000) -> int:
    """Let entries that were queued before their provider had limits of its own wait in its pool; return how many moved.

    Until then no claim takes them.
    """
    new = ProviderLimit.objects.filter(moved_at=None)
    providers = [
        *new.values_list("mailbox_provider", flat=True),
        *Pressure.objects.exclude(mailbox_provider="").values_list("mailbox_provider", flat=True),
    ]
    if not providers:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE outbox_queueentry e SET pool = e.mailbox_provider
              FROM (SELECT message_id FROM outbox_queueentry
                     WHERE pool = '' AND mailbox_provider = ANY(%s) AND worker_id IS NULL LIMIT %s
                       FOR UPDATE SKIP LOCKED) moved
             WHERE e.message_id = moved.message_id
            """,
            [providers, most],
        )
        moved = int(cursor.rowcount)
    if not moved:
        # Who queued by the rules of before has committed by now, and what was claimed then is done or given back.
        new.filter(changed_at__lt=Now() - SETTLED).update(moved_at=Now())
    return moved


def sweep_newly_suppressed() -> int:
    """Close open messages whose address was suppressed lately, without reading the whole queue.

    Where they are so many that reading it is cheaper, they are left to `sweep_queue`.
    """
    lately = Suppression.objects.filter(created_at__gt=Now() - NEW_FOR)
    if lately[MOST_NEW : MOST_NEW + 1].exists():
        return 0
    # by the messages, which have an index of addresses: one of the queue's own would cost each claim, too
    theirs = Message.objects.filter(is_any("address_key", lately.values("address_key")))
    return sweep_suppressed(QueueEntry.objects.filter(is_any("message_id", theirs.values("pk"))))


def sweep_suppressed(entries: QuerySet[QueueEntry] | None = None, *, most: int = 20_000) -> int:
    """Close open messages, of `entries` or all, whose address is suppressed for their stream or for all."""
    covering = Suppression.objects.filter(
        Q(stream=None) | Q(stream=OuterRef("stream")),
        Q(expires_at=None) | Q(expires_at__gt=Now()),
        address_key=OuterRef("address_key"),
    )
    return close_all(
        most=most,
        kind=EventKind.SUPPRESSED,
        entries=(QueueEntry.objects.all() if entries is None else entries).filter(
            Exists(covering), marked_at=None
        ),
        source="outbox",
        reason="suppressed",
        sentence="The address is on the suppression list.",
    )


def sweep_expired(*, most: int = 20_000) -> int:
    """Give up on messages older than their stream's patience; a held one waits for its person.

    One whose hours are over waits for the next ones: it is moved there, with the time it may take. What a restored
    database owes may have been sent, so it waits for the person who resumes or cancels its campaign, and then until its
    time has begun anew.
    """
    in_hours = Q(closes_at=None) | Q(closes_at__gt=Now())
    late = QueueEntry.objects.filter(
        in_hours, expires_at__lte=Now(), marked_at=None, is_held=False
    ).exclude(campaign__in=Campaign.objects.sparing())
    if not late.exists():  # nearly always: then the queue is read once
        return 0
    # never claimed, in its first round: in a later one, or in a doubt that was sent again, it was tried before
    untried = Q(
        transport_id=None,
        attempts=0,
        session_attempts=0,
        message__round=0,
        message__settling_fence__isnull=True,
    )
    return sum(
        close_all(
            most=most,
            kind=EventKind.EXPIRED,
            entries=entries,
            source="outbox",
            reason=reason,
            sentence=OURS[reason],
        )
        for reason, entries in (
            ("untried", late.filter(untried)),
            ("expired", late.exclude(untried)),
        )
    )


def keep_hours_for_a_while(*, seconds: float = KEEPING_SECONDS) -> bool:
    """Move messages whose hours are over, or were changed, and begin anew the time of resumed ones.

    Unless another process is at it; return whether to go on.
    """
    ends_at = time.monotonic() + seconds
    with session_lock("dispatch.keep_hours") as is_ours:
        while is_ours and (give_whole_time() or move_changed() or move_closed()):
            if time.monotonic() >= ends_at:
                return True
    return False


def sweep_claims_of_the_gone() -> int:
    """Settle the claims of workers that are dead or stopped: unmarked go back, marked are uncertain (W8, W10)."""
    release_claims_of_the_gone()
    claims = fetch_dicts(
        """
        SELECT e.message_id, e.fence, e.transport_id, w.id AS worker_id, m.round
          FROM outbox_queueentry e JOIN dispatch_worker w ON w.id = e.worker_id
          JOIN outbox_message m ON m.id = e.message_id
         WHERE (w.dead_at IS NOT NULL OR w.stopped_at IS NOT NULL) AND e.marked_at IS NOT NULL
         ORDER BY e.message_id LIMIT %s
        """,
        [CHUNK],
    )
    record_with_retry(
        Outcome(
            message_id=claim["message_id"],
            kind=EventKind.UNCERTAIN,
            source="dispatch",
            external_id=f"{claim['fence']}:uncertain",
            fence=claim["fence"],
            round=claim["round"],
            transport_id=claim["transport_id"],
            reason="worker_lost",
            sentence="The sending process ended after it began to send the content and before it had an answer: "
            "the mail may have arrived or not.",
            data={"worker": claim["worker_id"], "phase": "body"},
        )
        for claim in claims
    )
    return len(claims)


@dataclass
class _Pulse:
    beats: int
    still_for: float = 0.0  # seconds of successful readings without a beat


class DeathWatch:
    """Declares workers dead whose heartbeat stands still, by this process's own monotonic clock (W10)."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._pulses: dict[int, _Pulse] = {}
        self._read_at: float | None = None

    def look(self) -> int:
        """Read all heartbeats once; return how many workers were declared dead now."""
        if not self._reading.acquire(blocking=False):
            return 0
        try:
            return self._look()
        except Error:
            self._pulses.clear()  # where nothing can be written no heart beats: all time begins anew
            raise
        finally:
            self._reading.release()

    def _look(self) -> int:
        alive = list(Worker.objects.alive().values_list("pk", "beats"))
        now = time.monotonic()
        # Time in which the database could not be read says nothing about the workers: a gap counts as one reading.
        elapsed = (
            min(now - self._read_at, settings.MAILOPS_HEARTBEAT_SECONDS)
            if self._read_at is not None
            else 0.0
        )
        self._read_at = now
        self._pulses = {pk: self._felt(pk, beats, elapsed) for pk, beats in alive}
        return sum(
            self._judge(pk, pulse)
            for pk, pulse in self._pulses.items()
            if pulse.still_for >= settings.MAILOPS_HEARTBEAT_SECONDS
        )

    def _felt(self, worker_id: int, beats: int, elapsed: float) -> _Pulse:
        before = self._pulses.get(worker_id)
        if before is None or before.beats != beats:
            return _Pulse(beats)
        return _Pulse(beats, before.still_for + elapsed)

    def _judge(self, worker_id: int, pulse: _Pulse) -> int:
        """Declare a worker dead that missed enough beats; until then write its row as its heart would, to see that it could."""
        # Guarded by the counter that was seen: a worker that beat meanwhile lives on.
        row = Worker.objects.alive().filter(pk=worker_id, beats=pulse.beats)
        if pulse.still_for >= settings.MAILOPS_DEAD_AFTER_SECONDS:
            return row.update(dead_at=Now())
        row.update(beats=F("beats"))
        return 0
