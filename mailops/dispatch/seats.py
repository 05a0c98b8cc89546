"""Sessions that hold over all workers: each is a seat, and who wants one asks the others first."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.db import connection, transaction

from mailops.dispatch.models import Seat, Worker
from mailops.outbox.ledger import fetch_dicts
from mailops.outbox.models import QueueEntry

ASK_SECONDS = 0.2  # from a refused wish to the next
VOID_SECONDS = 10  # after a kill, long before the worker is declared dead
RENEW_SECONDS = 1.0  # how long an answer holds


@dataclass(frozen=True)
class Claimant:
    """A living worker that has seats of one kind, or wants them."""

    worker_id: int
    is_urgent: bool  # of the transactional lane
    held: int
    wanted: int
    waiting: float  # seconds for which it has had none and wanted one


def seats_for(me: Claimant, others: Iterable[Claimant], most: int) -> int:
    """Return how many of `most` seats `me` may have now.

    Seats that are taken stay taken until their sessions end. A free one goes to whoever has none, the longest waiting
    first; who has more than an even share makes room for who has less, and does not take the freed ones again; bulk
    makes room for transactional mail at once.
    """
    others = [one for one in others if one.wanted or one.held]
    too_many = me.held + sum(one.held for one in others) - most
    if me.held and too_many > 0:
        return max(_kept(me, others, most), me.held - too_many)
    free = max(0, -too_many)
    share = max(1, most // (len(others) + 1))
    poorer = [one for one in others if one.held < min(one.wanted, share)]
    lacking = sum(min(one.wanted, share) - one.held for one in poorer)
    if me.held > share and lacking > free:
        return max(share, me.held - (lacking - free))
    if not free and not me.is_urgent and any(one.is_urgent and not one.held for one in poorer):
        return max(0, me.held - 1)
    before_me = sum(not one.held and (bool(me.held) or one.waiting > me.waiting) for one in poorer)
    if me.wanted <= me.held:
        return me.held
    up_to_share = min(share, me.held + max(0, free - before_me))
    beyond = me.held + max(0, free - max(lacking, before_me))
    return min(me.wanted, max(up_to_share, beyond))


def _kept(me: Claimant, others: Iterable[Claimant], most: int) -> int:
    """Return how many of its seats `me` keeps in any case where more are taken than there are.

    That is so where there are fewer than there were, and where somebody who was frozen for so long that its seats were
    given away talks on. Who has more than its part makes room; the parts are those of `most` and no more.
    """
    holders = sorted([me.worker_id, *(one.worker_id for one in others if one.held)])
    each, rest = divmod(most, len(holders))
    return min(me.held, each + (holders.index(me.worker_id) < rest))


class SeatKeeper:
    """Asks for the seats of one worker, and remembers the answers for a moment."""

    def __init__(self, worker_id: int, *, is_urgent: bool) -> None:
        self._worker_id, self._is_urgent = worker_id, is_urgent
        self._answers: dict[str, tuple[int, int, float]] = {}  # key → (wanted, given, ask again at)

    def seats(self, key: str, *, held: int, wanted: int, most: int, talking: int = 0) -> int:
        """Return how many seats of a kind this worker may have now; what it has stays counted until it says less.

        `talking` of those that it holds could be opened.
        """
        now = time.monotonic()
        before, given, ask_at = self._answers.get(key, (0, 0, 0.0))
        if now < ask_at and wanted <= max(before, given):
            return given
        given = self._ask(key, held, wanted, most, talking)
        is_refused = given < wanted
        self._answers[key] = (
            wanted,
            given,
            now + (ASK_SECONDS if is_refused else RENEW_SECONDS),
        )
        return given

    def forget(self) -> None:
        """Give all seats back."""
        Seat.objects.filter(worker_id=self._worker_id).delete()
        self._answers.clear()

    @transaction.atomic
    def _ask(self, key: str, held: int, wanted: int, most: int, talking: int) -> int:
        with connection.cursor() as cursor:
            # One at a time, so that two don't take the last seat together.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"dispatch.seats:{key}"])
        claimants = {one.worker_id: one for one in _claimants(key)}
        known = claimants.pop(self._worker_id, None)
        waiting = known.waiting if known and not known.held else 0.0
        me = Claimant(self._worker_id, self._is_urgent, held, wanted, waiting)
        others = [*claimants.values()]
        if not held:
            # Whoever begins leaves the others of its lane theirs, who may only begin to ask; what they don't use it has
            # a moment later.
            others = [self._foreseen(one, most) for one in others] + self._silent(claimants, most)
        given = seats_for(me, others, most)
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO dispatch_seat AS s (key, worker_id, held, wanted, talking, waits_since, renewed_at)
                VALUES (%(key)s, %(worker)s, %(held)s, %(wanted)s, %(talking)s, clock_timestamp(), clock_timestamp())
                    ON CONFLICT (key, worker_id) DO UPDATE SET held = EXCLUDED.held, wanted = EXCLUDED.wanted,
                       talking = EXCLUDED.talking, renewed_at = EXCLUDED.renewed_at,
                       waits_since = CASE WHEN s.held = 0 AND s.wanted > 0 AND EXCLUDED.held = 0 THEN s.waits_since
                                          ELSE EXCLUDED.waits_since END
                """,
                {
                    "key": key,
                    "worker": self._worker_id,
                    "held": max(held, given),
                    "wanted": wanted,
                    "talking": talking,
                },
            )
        return given

    def _foreseen(self, other: Claimant, most: int) -> Claimant:
        """Return another with what it may want in a moment: who has claimed nothing yet asks for a single seat."""
        is_peer = other.is_urgent == self._is_urgent
        return replace(other, wanted=most) if other.wanted and is_peer else other

    def _silent(self, claimants: Iterable[int], most: int) -> list[Claimant]:
        """Return the living workers of this lane that have not asked yet."""
        lane = QueueEntry.Lane.TRANSACTIONAL if self._is_urgent else QueueEntry.Lane.BULK
        peers = Worker.objects.alive().filter(lane=lane)
        silent = peers.exclude(pk__in=[self._worker_id, *claimants]).values_list("pk", flat=True)
        return [Claimant(pk, self._is_urgent, 0, most, 0.0) for pk in silent]


def _claimants(key: str) -> list[Claimant]:
    rows = fetch_dicts(
        """
        SELECT s.worker_id, w.lane = 'transactional' AS is_urgent, s.held, s.wanted,
               extract(epoch FROM clock_timestamp() - s.waits_since)::float AS waiting
          FROM dispatch_seat s JOIN dispatch_worker w ON w.id = s.worker_id
         WHERE s.key = %s AND s.renewed_at > clock_timestamp() - make_interval(secs => %s) AND w.dead_at IS NULL AND w.stopped_at IS NULL
        """,
        [key, VOID_SECONDS],
    )
    return [Claimant(**row) for row in rows]


def count_held(keys: Iterable[str]) -> dict[str, int]:
    """Return how many seats of each kind living workers hold now; kinds of which none is held are left out."""
    rows = fetch_dicts(
        """
        SELECT s.key, sum(s.held)::int AS held FROM dispatch_seat s JOIN dispatch_worker w ON w.id = s.worker_id
         WHERE s.key = ANY(%s) AND s.renewed_at > clock_timestamp() - make_interval(secs => %s)
           AND w.dead_at IS NULL AND w.stopped_at IS NULL
         GROUP BY s.key
        """,
        [list(keys), VOID_SECONDS],
    )
    return {row["key"]: row["held"] for row in rows}
