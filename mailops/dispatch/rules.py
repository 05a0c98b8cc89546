"""Which limits stand in a queue's way through a transport."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from mailops.dispatch.limits import Limit, scaled, utc_today
from mailops.dispatch.models import LONGEST_STOP
from mailops.outbox.ledger import fetch_prepared
from mailops.outbox.queues import Queue
from mailops.transports.models import PROVIDER_DEFAULT, ProviderLimit, Stream, WarmUp

ALL = "*"  # the place of a rule that concerns all of a transport


@dataclass(frozen=True, slots=True)
class SessionLimit:
    """What sessions mind of a mailbox provider; None: no limit."""

    sessions: int | None = None  # at once, over all workers
    messages: int | None = None  # in one session


UNLIMITED = SessionLimit()


@dataclass(frozen=True)
class Rules:
    """The limits of one transport, its streams and the mailbox providers, as they were read from their rows."""

    transport: Limit
    max_sessions: int = 1  # of the transport: its own number, or what its server takes
    streams: dict[int, Limit] = field(default_factory=dict)
    providers: dict[str, Limit] = field(default_factory=dict)
    slowed: dict[str, float] = field(default_factory=dict)  # place → messages a minute
    warming: dict[str, int | None] = field(default_factory=dict)  # place → messages today
    stopped: frozenset[str] = frozenset()  # providers that are sent nothing now
    sessions: dict[str, SessionLimit] = field(default_factory=dict)
    default: SessionLimit = UNLIMITED  # of a provider that is known by name and has no row
    apart: frozenset[str] = frozenset()  # providers with limits: never out of the common pool

    def limits_of(self, queue: Queue) -> list[Limit]:
        """Return the limits that say something on a queue."""
        found = [
            self.transport,
            Limit(
                f"{self.transport.key}:{ALL}", self.slowed.get(ALL), shares=self.transport.shares
            ),
            self._here(queue.pool),
            self.streams.get(queue.stream),
            self.providers.get(queue.pool),
        ]
        return [limit for limit in found if limit is not None and not limit.is_open]

    def _here(self, pool: str) -> Limit:
        """Return the limit of a provider through this transport: its pressure, its warm-up."""
        per_day = self.warming[pool] if pool in self.warming else self.warming.get(ALL)
        key, shares = f"{self.transport.key}:{pool}", self.transport.shares
        return Limit(key, self.slowed.get(pool), per_day, shares)

    def sessions_of(self, provider: str) -> SessionLimit:
        """Return what sessions mind of a provider."""
        is_known = bool(provider) and "." not in provider
        return self.sessions.get(provider) or (self.default if is_known else UNLIMITED)

    def seats_reserved_from(self, stream_ids: Iterable[int], most: int) -> int:
        """Return how many of a transport's sessions are kept for other streams than these; never all."""
        theirs = sum(
            share for other, share in self.transport.shares.items() if other not in set(stream_ids)
        )
        return min(most - 1, max(1, int(most * theirs))) if theirs else 0

    def is_stopped(self, queue: Queue) -> bool:
        """Tell whether a queue may not move through this transport now."""
        return ALL in self.stopped or queue.pool in self.stopped


def read_rules(transport_id: int, stream_ids: Iterable[int]) -> Rules:
    """Read what stands now for mail of these streams through a transport; it is read often, so by one statement."""
    found = fetch_prepared(_RULES, [LONGEST_STOP, transport_id])
    if not found:  # deleted just now
        return Rules(Limit(f"t{transport_id}"), stopped=frozenset({ALL}))
    ((rate, quota, max_sessions, possible, *tables),) = found
    # Django leaves jsonb in raw cursors as text.
    streams, limits, slowed, ramps = (json.loads(table) for table in tables)
    own, reserved = set(stream_ids), {row["id"]: _reserved(row) for row in streams}
    routed = {row["id"]: reserved[row["id"]] for row in streams if row["is_routed"]}
    providers = {row["mailbox_provider"]: ProviderLimit(**row) for row in limits}
    at_place = {row["mailbox_provider"] or ALL: row for row in slowed}
    return Rules(
        transport=Limit(f"t{transport_id}", rate, quota, shares=scaled(routed)),
        max_sessions=max_sessions,
        streams={
            row["id"]: Limit(f"s{row['id']}", row["rate_per_minute"])
            for row in streams
            if row["id"] in own
        },
        providers={
            name: Limit(f"p:{name}", limit.rate_per_minute, shares=scaled(reserved))
            for name, limit in providers.items()
        },
        slowed={place: row["rate_per_minute"] for place, row in at_place.items()},
        warming=_warming(ramps),
        stopped=frozenset(place for place, row in at_place.items() if row["is_stopped"]),
        sessions={name: _session_limit(limit, possible) for name, limit in providers.items()},
        default=_session_limit(PROVIDER_DEFAULT, possible),
        apart=frozenset({*providers, *at_place}),
    )


def _session_limit(limit: ProviderLimit, possible: int) -> SessionLimit:
    """Return what a row says; a number of sessions that all transports together don't reach needs no counting."""
    most = limit.max_sessions
    return SessionLimit(
        sessions=most if most is not None and most < possible else None,
        messages=limit.messages_per_session,
    )


_RULES = """
SELECT t.rate_per_minute, t.daily_quota,
       least(t.max_sessions, (SELECT c.sessions FROM dispatch_crowding c WHERE c.transport_id = t.id)) AS max_sessions,
       (SELECT coalesce(sum(o.max_sessions), 0) FROM transports_transport o WHERE o.state = 'running') AS possible,
       (SELECT coalesce(jsonb_agg(row), '[]') FROM (
            SELECT s.id, s.kind, s.rate_per_minute, s.reserved_percent,
                   EXISTS (SELECT FROM transports_route r WHERE r.stream_id = s.id AND r.transport_id = t.id) AS is_routed
              FROM transports_stream s) row) AS streams,
       (SELECT coalesce(jsonb_agg(row), '[]') FROM (
            SELECT mailbox_provider, max_sessions, messages_per_session, rate_per_minute
              FROM transports_providerlimit) row) AS limits,
       (SELECT coalesce(jsonb_agg(row), '[]') FROM (
            SELECT mailbox_provider, rate_per_minute,
                   coalesce(stopped_until BETWEEN clock_timestamp() AND clock_timestamp() + %s, FALSE) AS is_stopped
              FROM dispatch_pressure p WHERE p.transport_id = t.id) row) AS slowed,
       (SELECT coalesce(jsonb_agg(row), '[]') FROM (
            SELECT mailbox_provider, started_on, first_day, growth_percent, full_volume
              FROM transports_warmup u WHERE u.transport_id = t.id) row) AS ramps
  FROM transports_transport t WHERE t.id = %s
"""


def _reserved(row: dict[str, Any]) -> float:
    stream = Stream(kind=row["kind"], reserved_percent=row["reserved_percent"])
    return stream.reserved / 100


def _warming(ramps: list[dict[str, Any]]) -> dict[str, int | None]:
    today = utc_today() if ramps else date.min
    days = [date.fromisoformat(row.pop("started_on")) for row in ramps]
    rows = [WarmUp(started_on=day, **row) for day, row in zip(days, ramps, strict=True)]
    return {row.mailbox_provider or ALL: row.volume(today) for row in rows}
