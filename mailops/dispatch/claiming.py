"""Claims due entries for a worker, and gives back what it did not speak of."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from mailops.dispatch.epochs import epoch
from mailops.dispatch.limits import close_buckets, open_buckets
from mailops.dispatch.rules import Rules, read_rules
from mailops.dispatch.sharing import Gate, share_out
from mailops.dispatch.spilling import spilled
from mailops.dispatch.standing_in import unable
from mailops.dispatch.weighing import EVERYTHING, Share, shares_of
from mailops.outbox.ledger import fetch_dicts, fetch_rows
from mailops.outbox.queues import Queue, due_queues

NOBODY_WAITS: Mapping[str, int] = {}


@dataclass(frozen=True)
class Carrier:
    """A transport that may carry mail now, and the running streams of a lane that go through it."""

    transport_id: int
    stream_ids: tuple[int, ...]
    # streams that go through other transports first → those
    before: tuple[tuple[int, tuple[int, ...]], ...] = ()
    # streams that route by weight → their transports, each with its weight
    weights: tuple[tuple[int, tuple[tuple[int, int], ...]], ...] = ()
    stands_in_for: frozenset[int] = frozenset()  # streams whose first route is another transport
    is_in_trouble: bool = False  # its last sessions failed
    is_probed: bool = False  # its breaker is not closed: one session over all workers tries it
    credential_id: int | None = None  # what its sessions log in with


class Job(NamedTuple):
    """One claimed message with all a session needs to make and send it; the database is not asked again.

    The fields but the last are the columns that `_CLAIM` returns, in its order.
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
    stream_name: str
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

    @property
    def addr_spec(self) -> str:
        """The recipient as it goes on the wire: the local part as given, the domain in A-labels."""
        return f"{self.recipient.rpartition('@')[0]}@{self.address_key.rpartition('@')[2]}"


def usable_carriers(lane: str) -> list[Carrier]:
    """Return the transports that may open a session now, each with the running streams that go through it.

    Through its first route goes all of a stream's mail. Through a later one goes what those before it may send no more
    today, and everything while they stand still: a person or a fault of theirs paused them, or their breaker is open. One
    that a guardrail paused, or that was asked for less, keeps its mail: another address would only spread the trouble.
    By weight each carries its share, but for those that stand still. Nobody stands in, or has a share beside the first,
    through whom the stream's From would not pass DMARC.
    """
    rows = fetch_dicts(
        """
        SELECT t.id AS transport_id, array_agg(s.id ORDER BY s.id) AS stream_ids,
               coalesce(json_object_agg(s.id, r.before) FILTER (WHERE r.before IS NOT NULL), '{}')::text AS before,
               coalesce(json_object_agg(s.id, r.weights) FILTER (WHERE r.weights IS NOT NULL), '{}')::text AS weights,
               array_agg(s.id) FILTER (WHERE r.stands_in) AS stands_in_for,
               t.failures > 0 OR t.breaker <> 'closed' AS is_in_trouble, t.breaker <> 'closed' AS is_probed,
               (SELECT c.id FROM transports_credential c WHERE c.transport_id = t.id AND c.is_active) AS credential_id
          FROM transports_stream s
          JOIN LATERAL (
               SELECT r.transport_id, b.ids AS before, b.stands_in, NULL::json AS weights
                 FROM transports_route r
                 CROSS JOIN LATERAL (
                      SELECT array_agg(o.id) FILTER (WHERE NOT o.stands_still) AS ids, count(*) > 0 AS stands_in,
                             coalesce(bool_and(o.stands_still OR o.may_be_spent), TRUE) AS is_open
                        FROM (SELECT t.id, t.daily_quota IS NOT NULL OR EXISTS (
                                         SELECT FROM transports_warmup u WHERE u.transport_id = t.id) AS may_be_spent,
                                     t.environment <> s.environment OR t.breaker <> 'closed' OR (t.state = 'paused'
                                         AND t.pause_cause IN ('person', 'fault')) AS stands_still
                                FROM transports_route o JOIN transports_transport t ON t.id = o.transport_id
                               WHERE o.stream_id = r.stream_id AND o.position < r.position) o) b
                WHERE r.stream_id = s.id AND s.routing = 'order' AND b.is_open
               UNION ALL
               SELECT r.transport_id, NULL, r.position > 0, w.weights
                 FROM transports_route r
                 CROSS JOIN LATERAL (
                      SELECT coalesce(json_agg(json_build_array(t.id, o.weight, o.position > 0) ORDER BY o.position), '[]') AS weights
                        FROM transports_route o JOIN transports_transport t ON t.id = o.transport_id
                       WHERE o.stream_id = s.id AND t.environment = s.environment AND t.breaker = 'closed'
                         AND NOT (t.state = 'paused' AND t.pause_cause IN ('person', 'fault'))) w
                WHERE r.stream_id = s.id AND s.routing = 'weight') r ON TRUE
          JOIN transports_transport t ON t.id = r.transport_id
         WHERE s.kind = %s AND s.state = 'running' AND t.state = 'running' AND t.environment = s.environment
           AND (t.backoff_until IS NULL OR t.backoff_until <= clock_timestamp())
         GROUP BY t.id
        """,
        [lane],
    )
    carriers = [_without_the_unable(_carrier(row)) for row in rows]
    return [carrier for carrier in carriers if carrier.stream_ids]


def _carrier(row: dict[str, Any]) -> Carrier:
    before = json.loads(row["before"]).items()
    return Carrier(
        transport_id=row["transport_id"],
        stream_ids=tuple(row["stream_ids"]),
        before=tuple((int(stream_id), tuple(ids)) for stream_id, ids in before),
        weights=tuple(
            (int(stream_id), _able(int(stream_id), some))
            for stream_id, some in json.loads(row["weights"]).items()
        ),
        stands_in_for=frozenset(row["stands_in_for"] or ()),
        is_in_trouble=row["is_in_trouble"],
        is_probed=row["is_probed"],
        credential_id=row["credential_id"],
    )


def _able(stream_id: int, weights: list[tuple[int, int, bool]]) -> tuple[tuple[int, int], ...]:
    return tuple(
        (one, weight)
        for one, weight, stands_in in weights
        if not (stands_in and unable(one, [stream_id]))
    )


def _without_the_unable(carrier: Carrier) -> Carrier:
    left_out = unable(carrier.transport_id, carrier.stands_in_for)
    if not left_out:
        return carrier
    return replace(
        carrier,
        stream_ids=tuple(pk for pk in carrier.stream_ids if pk not in left_out),
        before=tuple(pair for pair in carrier.before if pair[0] not in left_out),
        weights=tuple(pair for pair in carrier.weights if pair[0] not in left_out),
        stands_in_for=carrier.stands_in_for - left_out,
    )


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
           AND NOT (q.stands_in AND (SELECT m.was_resent AND m.transport_id IS DISTINCT FROM %(transport)s
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
       SET worker_id = %(worker)s, fence = nextval('outbox_fence'), marked_at = NULL, transport_id = %(transport)s
      FROM due WHERE e.message_id = due.message_id
    RETURNING e.message_id, e.fence, e.session_attempts, e.due_at, e.closes_at, e.pool, e.mailbox_provider
)
SELECT t.message_id, %(transport)s AS transport_id, t.fence, t.session_attempts, t.due_at,
       %(clock)s::float + extract(epoch FROM t.closes_at - clock_timestamp())::float AS leaves_by,
       m.public_id, m.round, m.token_key_id, m.recipient,
       m.address_key, m.version_id, m.stream_id, s.name AS stream_name, s.kind = 'bulk' AS is_bulk,
       m.campaign_id, coalesce(c.name, '') AS campaign_name, i.name AS header_from_name,
       i.local_part || '@' || d.name AS header_from, d.name AS domain, i.reply_to, t.mailbox_provider,
       m.merge_data, t.pool
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

    def claim(
        self, carrier: Carrier, limit: int, *, waiting: Mapping[str, int] = NOBODY_WAITS
    ) -> list[Job]:
        """Take up to `limit` due messages of the carrier's streams, as many as all limits allow.

        Of a provider whose sessions are limited only so many that `waiting` (provider → claimed already) stays small.
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

    def _claim(
        self, carrier: Carrier, known: _Known, limit: int, waiting: Mapping[str, int]
    ) -> list[Job]:
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
                    most=self._most(known.rules, queue, waiting),
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

    def _most(self, rules: Rules, queue: Queue, waiting: Mapping[str, int]) -> int | None:
        if not queue.pool or rules.sessions_of(queue.pool).sessions is None:
            return None
        return max(0, WAITING - waiting.get(queue.pool, 0))

    def _claim_through(
        self,
        carrier: Carrier,
        rules: Rules,
        gates: dict[Queue, Gate],
        limit: int,
        shares: Mapping[Queue, Share],
    ) -> list[Job]:
        jobs: list[Job] = []
        for turn in range(PASSES):
            asks = share_out(limit - len(jobs), gates, rules.transport.shares if not turn else {})
            if not asks:
                break
            claimed = self._claim_queues(carrier, rules, asks, shares)
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
    ) -> dict[Queue, list[Job]]:
        began = time.monotonic()
        rows = fetch_rows(
            _CLAIM,
            {
                "transport": carrier.transport_id,
                "worker": self.worker_id,
                "clock": time.monotonic(),
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
        for *fields, merge_data, pool in rows:
            # Django leaves jsonb in raw cursors as text.
            job = Job._make([*fields, json.loads(merge_data), None])
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


# A day's number is given back with the claim that took it: a transport that fails again and again would spend it all.
# Whoever claims holds allowances and waits for no entry, so the order of these locks can't deadlock with it.
_GIVE_BACK = """
), back AS (
    SELECT key, count(*) AS n
      FROM freed CROSS JOIN LATERAL (VALUES ('t' || transport_id), ('t' || transport_id || ':' || pool)) AS k(key)
     GROUP BY key
), locked AS (
    SELECT a.key, back.n FROM dispatch_allowance a JOIN back ON back.key = a.key
     WHERE a.day = (clock_timestamp() AT TIME ZONE 'UTC')::date ORDER BY a.key FOR UPDATE OF a
)
UPDATE dispatch_allowance a SET spent = greatest(0, a.spent - locked.n) FROM locked WHERE a.key = locked.key
"""


def release(claims: Sequence[tuple[int, int]]) -> None:
    """Give back claims as (message id, fence), unspent; by fence alone, so a mark that may have landed is cleared (W9)."""
    if not claims:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH freed AS (
                UPDATE outbox_queueentry e SET worker_id = NULL, fence = NULL, marked_at = NULL
                  FROM unnest(%s::bigint[], %s::bigint[]) AS v(message_id, fence)
                 WHERE e.message_id = v.message_id AND e.fence = v.fence
                RETURNING e.transport_id, e.pool
            {_GIVE_BACK}
            """,  # noqa: S608 - a constant
            [[message_id for message_id, _ in claims], [fence for _, fence in claims]],
        )


def release_claims_since(fence: int, *, worker_id: int) -> None:
    """Give back what a worker claimed after `fence` and has not marked: the answer to that claim never reached it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH freed AS (
                UPDATE outbox_queueentry SET worker_id = NULL, fence = NULL
                 WHERE worker_id = %s AND fence > %s AND marked_at IS NULL
                RETURNING transport_id, pool
            {_GIVE_BACK}
            """,  # noqa: S608 - a constant
            [worker_id, fence],
        )


def release_claims_of_the_gone() -> None:
    """Give back what dead or stopped workers claimed and never marked.

    One statement: a mark that commits beside it is seen under the row's lock, and stays for the sweep to settle.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH freed AS (
                UPDATE outbox_queueentry e SET worker_id = NULL, fence = NULL
                  FROM dispatch_worker w
                 WHERE w.id = e.worker_id AND (w.dead_at IS NOT NULL OR w.stopped_at IS NOT NULL)
                   AND e.marked_at IS NULL
                RETURNING e.transport_id, e.pool
            {_GIVE_BACK}
            """,  # noqa: S608 - a constant
        )
