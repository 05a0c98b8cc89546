"""Which transports may carry mail now, and of which streams."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mailops.dispatch.standing_in import unable
from mailops.outbox.ledger import fetch_prepared
from mailops.transports.models.transport import LONGEST_BACKOFF
from mailops.transports.sessions import LoginId


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
    username: str | None = None
    secret_set_at: datetime | None = None
    way: str = ""  # another one where its endpoint or its options were changed

    @property
    def login_id(self) -> LoginId | None:
        if self.credential_id is None:
            return None
        return LoginId(self.credential_id, self.username or "", self.secret_set_at)


# Prepared: to plan it takes ten times as long as to run it.
_USABLE = """
SELECT t.id AS transport_id, array_agg(s.id ORDER BY s.id) AS stream_ids,
       coalesce(json_object_agg(s.id, r.before) FILTER (WHERE r.before IS NOT NULL), '{}')::text AS before,
       coalesce(json_object_agg(s.id, r.weights) FILTER (WHERE r.weights IS NOT NULL), '{}')::text AS weights,
       array_agg(s.id) FILTER (WHERE r.stands_in) AS stands_in_for,
       t.failures > 0 OR t.breaker <> 'closed' AS is_in_trouble, t.breaker <> 'closed' AS is_probed,
       c.id AS credential_id, c.username, c.secret_set_at,
       concat_ws(' ', t.host, t.port, t.security, t.return_path_host, t.options) AS way
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
  LEFT JOIN transports_credential c ON c.transport_id = t.id AND c.is_active
 WHERE s.kind = %s AND s.state = 'running' AND t.state = 'running' AND t.environment = s.environment
   AND coalesce(t.backoff_until NOT BETWEEN clock_timestamp() AND clock_timestamp() + %s, TRUE)
 GROUP BY t.id, c.id
"""


def usable_carriers(lane: str) -> list[Carrier]:
    """Return the transports that may open a session now, each with the running streams that go through it.

    Through its first route goes all of a stream's mail. Through a later one goes what those before it may send no more
    today, and everything while they stand still: a person or a fault of theirs paused them, or their breaker is open. One
    that a guardrail paused, or that was asked for less, keeps its mail: another address would only spread the trouble.
    By weight each carries its share, but for those that stand still. Nobody stands in, or has a share beside the first,
    through whom the stream's From would not pass DMARC.
    """
    carriers = [
        _without_the_unable(_carrier(*row))
        for row in fetch_prepared(_USABLE, [lane, LONGEST_BACKOFF])
    ]
    return [carrier for carrier in carriers if carrier.stream_ids]


def _carrier(
    transport_id: int,
    stream_ids: list[int],
    before: str,
    weights: str,
    stands_in_for: list[int] | None,
    *rest: Any,
) -> Carrier:
    """Make one of the columns of `_USABLE`."""
    return Carrier(
        transport_id,
        tuple(stream_ids),
        tuple((int(stream_id), tuple(ids)) for stream_id, ids in json.loads(before).items()),
        tuple(
            (int(stream_id), _able(int(stream_id), some))
            for stream_id, some in json.loads(weights).items()
        ),
        frozenset(stands_in_for or ()),
        *rest,
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
