"""Claims due entries for a worker."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction

from mailops.dispatch.carriers import Carrier
from mailops.dispatch.epochs import epoch
from mailops.dispatch.limits import Limit, close_buckets, open_buckets
from mailops.dispatch.rules import Rules, read_rules
from mailops.dispatch.sharing import Gate, share_out
from mailops.dispatch.spilling import spilled
from mailops.dispatch.weighing import EVERYTHING, Share, shares_of
from mailops.outbox.ledger import fetch_rows
from mailops.outbox.queues import Queue, due_queues

Waiting = Mapping[tuple[int, str], int]  # (stream, mailbox provider) → claimed, and not taken yet
NOBODY_WAITS: Waiting = {}
Claim = tuple[int, int]  # message id and fence: a stale job of the same message has another


class Job(NamedTuple):
    """One claimed message with all a session needs to make and send it; the database is not asked again.

    The fields but the last ones are the columns that `_CLAIM` returns, in its order.
    """

    message_id: int
    transport_id: int
    fence: int
    session_attempts: int
    due_at: datetime
    leaves_by: float | None  # the end of its hours, on this process's monotonic clock
    public_id: UUID
    round: int
    token_key_id: str
    recipient: str
    address_key: str
    version_id: int
    stream_id: int
    is_bulk: bool
    campaign_id: int | None
    campaign_name: str
    header_from_name: str
    header_from: str
    domain: str
    reply_to: str
    mailbox_provider: str
    merge_data: dict[str, Any]
    detour: Mapping[str, str] | None = None  # what is unusual about its way, for its event
    tracks_opens: bool = False
    tracks_clicks: bool = False
    pool: str = ""
    counted_on: date | None = None  # the day whose number it was taken from

    @property
    def claim(self) -> Claim:
        return self.message_id, self.fence

    @property
    def addr_spec(self) -> str:
        """The recipient as it goes on the wire: the local part as given, the domain in A-labels."""
        return f"{self.recipient.rpartition('@')[0]}@{self.address_key.rpartition('@')[2]}"


_CLAIM = """
WITH ask AS (
    SELECT * FROM json_to_recordset(%(asks)s::json)
        AS q(stream bigint, campaign bigint, pool text, after_due timestamptz, after_id bigint, most int, stands_in boolean,
             low int, high int, total int)
), due AS (
    SELECT f.message_id FROM ask q CROSS JOIN LATERAL (
        SELECT e.message_id FROM outbox_queueentry e
         WHERE e.stream_id = q.stream AND coalesce(e.campaign_id, 0) = q.campaign AND e.pool = q.pool
           AND e.worker_id IS NULL AND NOT e.is_held
           AND e.due_at <= (SELECT clock_timestamp()) AND e.expires_at > clock_timestamp()
           AND (e.closes_at IS NULL OR e.closes_at > clock_timestamp())
           AND (e.due_at, e.message_id) > (q.after_due, q.after_id)
           AND (e.pool <> '' OR e.mailbox_provider <> ALL(%(apart)s::text[]))
           AND (q.total = 0 OR e.message_id %% q.total BETWEEN q.low AND q.high
                OR (SELECT m.was_resent AND m.transport_id = %(transport)s
                      FROM outbox_message m WHERE m.id = e.message_id))
           AND NOT (q.stands_in AND (SELECT m.was_resent AND m.transport_id <> %(transport)s AND EXISTS (
                                                SELECT FROM transports_route r
                                                 WHERE r.stream_id = e.stream_id AND r.transport_id = m.transport_id)
                                       FROM outbox_message m WHERE m.id = e.message_id))
           AND NOT EXISTS (SELECT FROM suppressions_suppression x
                            WHERE x.address_key = e.address_key AND (x.stream_id IS NULL OR x.stream_id = e.stream_id)
                              AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp()))
         ORDER BY e.due_at, e.message_id LIMIT q.most FOR UPDATE OF e SKIP LOCKED) f
     WHERE EXISTS (SELECT FROM dispatch_worker w
                    WHERE w.id = %(worker)s AND w.dead_at IS NULL AND w.stopped_at IS NULL)
       AND (q.campaign = 0 OR EXISTS (
            SELECT FROM campaigns_campaign c WHERE c.id = q.campaign AND c.state = 'running'))
), taken AS (
    UPDATE outbox_queueentry e
       SET worker_id = %(worker)s, fence = nextval('outbox_fence'), marked_at = NULL, transport_id = %(transport)s,
           claimed_on = %(day)s
     WHERE e.message_id = ANY ((SELECT array_agg(message_id) FROM due)::bigint[])
    RETURNING e.message_id, e.fence, e.session_attempts, e.due_at, e.closes_at, e.pool, e.mailbox_provider
)
SELECT t.message_id, %(transport)s AS transport_id, t.fence, t.session_attempts, t.due_at,
       %(clock)s::float + extract(epoch FROM t.closes_at - clock_timestamp())::float AS leaves_by,
       m.public_id, m.round, m.token_key_id, m.recipient,
       m.address_key, m.version_id, m.stream_id, s.kind = 'bulk' AS is_bulk,
       m.campaign_id, coalesce(c.name, '') AS campaign_name, i.name AS header_from_name,
       i.local_part || '@' || d.name AS header_from, d.name AS domain, i.reply_to, t.mailbox_provider,
       m.merge_data, t.pool, s.tracks_opens, s.tracks_clicks
  FROM taken t
  JOIN outbox_message m ON m.id = t.message_id
  JOIN transports_stream s ON s.id = m.stream_id
  JOIN domains_identity i ON i.id = m.identity_id
  JOIN domains_domain d ON d.id = i.domain_id
  LEFT JOIN campaigns_campaign c ON c.id = m.campaign_id
 ORDER BY t.due_at, t.message_id
"""

# Rows that were claimed stay at the front of the index until a vacuum, for hours while an old snapshot is open. To read
# past them costs the more the more there are, so it is done the more rarely: these are multiples of what it took.
REST, DEAR_SECONDS = 5, 0.1
POSITION_SECONDS, POSITION_REST = 5.0, 50
KNOWN_SECONDS = 0.5  # how long queues and rules are taken to be as they were read
WAITING = 50  # claimed messages of a provider whose sessions are limited
PASSES = 4  # over the queues in one claim, as long as some have more and others less than was asked of them


_BEGINNING = ("-infinity", 0, float("inf"))


@dataclass
class _Known:
    """What was read of a carrier a moment ago."""

    rules: Rules
    queues: list[Queue]
    read_at: float
    waits_for_rate: bool = False  # something may leave in a moment
    rests_until: float = 0.0  # a dear claim found nothing: none before this
    is_spent: bool = False  # a claim found less than it wanted: look again before the next


class Claimer:
    """Claims for one worker; remembers how far it read in each queue, since claimed rows lie thick at the front."""

    def __init__(self, worker_id: int) -> None:
        self.worker_id = worker_id
        # by transport too: where a stream routes by weight, each reads past what is the others'
        self._positions: dict[tuple[int, Queue], tuple[Any, int, float]] = {}
        self._known: dict[Carrier, _Known] = {}
        self._turn = 0

    @property
    def waits_for_rate(self) -> bool:
        """Whether a claim of the last seconds left something that may leave in a moment."""
        since = time.monotonic() - KNOWN_SECONDS
        return any(one.waits_for_rate and one.read_at > since for one in self._known.values())

    def rules(self, carrier: Carrier) -> Rules:
        """Return the rules of a carrier as they were read a moment ago."""
        known = self._known.get(carrier)
        if known is None or time.monotonic() - known.read_at > KNOWN_SECONDS:
            known = self._look(carrier)
        return known.rules

    def has_due(self, carrier: Carrier) -> bool:
        """Tell whether something is due for a carrier, whatever its limits say."""
        last = self._known.get(carrier)
        if last and time.monotonic() < last.rests_until:
            return False
        known = self._look(carrier)
        known.is_spent = not known.queues
        return bool(known.queues)

    def read_anew(self, carrier: Carrier) -> None:
        """Read a carrier's queues from their front again: what was claimed through it went back there."""
        for place in [place for place in self._positions if place[0] == carrier.transport_id]:
            del self._positions[place]

    def claim(self, carrier: Carrier, limit: int, *, waiting: Waiting = NOBODY_WAITS) -> list[Job]:
        """Take up to `limit` due messages of the carrier's streams, as many as all limits allow.

        Where sessions or a rate are limited, only so many that what is `waiting` already stays little.
        The limits' rows are locked before the claim and written after it, so two workers never exceed one together.
        """
        began = time.monotonic()
        if (last := self._known.get(carrier)) and began < last.rests_until:
            return []
        known = self._look(carrier)
        jobs = self._claim(carrier, known, limit, waiting) if known.queues else []
        known.is_spent = len(jobs) < limit
        took = time.monotonic() - began
        if not jobs and took > DEAR_SECONDS:
            known.rests_until = time.monotonic() + REST * took
        return sorted(jobs, key=lambda job: (job.due_at, job.message_id))

    def _claim(self, carrier: Carrier, known: _Known, limit: int, waiting: Waiting) -> list[Job]:
        self._turn += 1
        turned = self._turn % len(known.queues)
        queues = known.queues[turned:] + known.queues[:turned]
        queues = spilled(
            queues,
            dict(carrier.before),
            lambda transport_id: self.rules(Carrier(transport_id, carrier.stream_ids)),
        )
        shares = shares_of(
            queues,
            carrier.transport_id,
            dict(carrier.weights),
            lambda transport_id: self.rules(Carrier(transport_id, carrier.stream_ids)),
        )
        limits = {
            queue: known.rules.limits_of(queue)
            for queue in queues
            if not known.rules.is_stopped(queue)
        }
        with transaction.atomic():
            buckets = open_buckets(one for some in limits.values() for one in some)
            gates = {
                queue: Gate(
                    queue.stream,
                    [buckets[one.key] for one in some],
                    most=_most(known.rules, queue, waiting),
                )
                for queue, some in limits.items()
            }
            jobs = self._claim_through(carrier, known.rules, gates, limit, shares)
            known.waits_for_rate = any(gate.opens_soon() for gate in gates.values())
            close_buckets(buckets)
        epoch.note_claim([job.fence for job in jobs])
        return jobs

    def _look(self, carrier: Carrier) -> _Known:
        known, now = self._known.get(carrier), time.monotonic()
        if known is None or known.is_spent or now - known.read_at > KNOWN_SECONDS:
            is_young = known is not None and now - known.read_at < KNOWN_SECONDS
            rules = known.rules if known and is_young else None
            known = self._known[carrier] = _Known(
                rules=rules or read_rules(carrier.transport_id, carrier.stream_ids),
                queues=due_queues(carrier.stream_ids),
                read_at=known.read_at if known and is_young else now,
            )
        return known

    def _claim_through(
        self,
        carrier: Carrier,
        rules: Rules,
        gates: dict[Queue, Gate],
        limit: int,
        shares: Mapping[Queue, Share],
    ) -> list[Job]:
        jobs: list[Job] = []
        day = _day_of(gates)
        for turn in range(PASSES):
            asks = share_out(limit - len(jobs), gates, rules.transport.shares if not turn else {})
            if not asks:
                break
            claimed = self._claim_queues(carrier, rules, asks, shares, day=day)
            for queue, asked in asks.items():
                got = claimed[queue]
                gates[queue].take(len(got) - asked)
                jobs += got
                if len(got) < asked:
                    del gates[queue]
        return jobs

    def _claim_queues(
        self,
        carrier: Carrier,
        rules: Rules,
        asks: dict[Queue, int],
        shares: Mapping[Queue, Share],
        *,
        day: date | None,
    ) -> dict[Queue, list[Job]]:
        began = time.monotonic()
        rows = fetch_rows(
            _CLAIM,
            {
                "transport": carrier.transport_id,
                "worker": self.worker_id,
                "clock": time.monotonic(),
                "day": day,
                "apart": sorted(rules.apart),
                "asks": json.dumps(
                    [
                        {
                            **self._ask(carrier, queue, most),
                            **shares.get(queue, EVERYTHING)._asdict(),
                            "stands_in": queue in shares or queue.stream in carrier.stands_in_for,
                        }
                        for queue, most in asks.items()
                    ],
                    default=str,
                ),
            },
        )
        good_for = max(POSITION_SECONDS, POSITION_REST * (time.monotonic() - began))
        claimed: dict[Queue, list[Job]] = {queue: [] for queue in asks}
        for *fields, merge_data, pool, tracks_opens, tracks_clicks in rows:
            # Django leaves jsonb in raw cursors as text.
            tracks = tracks_opens, tracks_clicks
            job = Job._make([*fields, json.loads(merge_data), None, *tracks, pool, day])
            claimed[Queue(job.stream_id, job.campaign_id or 0, pool)].append(job)
        for queue, asked in asks.items():
            self._remember((carrier.transport_id, queue), claimed[queue], asked, good_for)
        return claimed

    def _ask(self, carrier: Carrier, queue: Queue, most: int) -> dict[str, object]:
        place = carrier.transport_id, queue
        after_due, after_id, until = self._positions.get(place, _BEGINNING)
        if time.monotonic() > until:
            after_due, after_id, _ = _BEGINNING
        return {**queue._asdict(), "after_due": after_due, "after_id": after_id, "most": most}

    def _remember(
        self, place: tuple[int, Queue], jobs: list[Job], asked: int, good_for: float
    ) -> None:
        """Go on behind `jobs`, but for a while only: rows that were released may lie before them."""
        if len(jobs) < asked:
            self._positions.pop(place, None)
            return
        now = time.monotonic()
        _, _, until = self._positions.get(place, ("", 0, 0.0))
        until = until if until > now else now + good_for
        self._positions[place] = (jobs[-1].due_at, jobs[-1].message_id, until)


def _day_of(gates: Mapping[Queue, Gate]) -> date | None:
    """Return the day whose numbers are taken from, the earlier one at midnight; None where nothing is counted."""
    days = {bucket.day for gate in gates.values() for bucket in gate.buckets}
    return min(filter(None, days), default=None)


def _most(rules: Rules, queue: Queue, waiting: Waiting) -> int | None:
    """Return how many more of a queue may lie claimed; None: whatever the limits let through.

    Of a rate no more than a second's worth: where sessions stall, what lies there leaves at once when they go on.
    """
    mosts = [
        limit.of_a_second - _under(limit, rules, waiting)
        for limit in rules.limits_of(queue)
        if limit.rate_per_minute is not None
    ]
    if queue.pool and rules.sessions_of(queue.pool).sessions is not None:
        mosts.append(WAITING - sum(n for (_, pool), n in waiting.items() if pool == queue.pool))
    return max(0, min(mosts)) if mosts else None


def _under(limit: Limit, rules: Rules, waiting: Waiting) -> int:
    """Return how much of what waits is under a limit."""
    return sum(
        number
        for (stream, provider), number in waiting.items()
        if any(
            limit.key == one.key
            for one in rules.limits_of(
                Queue(stream, 0, provider if provider in rules.apart else "")
            )
        )
    )
