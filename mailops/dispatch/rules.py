"""Which limits stand in a queue's way through a transport."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models.functions import Now

from mailops.dispatch.limits import Limit, scaled
from mailops.dispatch.models import Pressure
from mailops.outbox.queues import Queue
from mailops.transports.models import ProviderLimit, Stream, Transport

ALL = "*"  # the place of a rule that concerns all of a transport


@dataclass(frozen=True)
class Rules:
    """The limits of one transport, its streams and the mailbox providers, as they were read from their rows."""

    transport: Limit
    streams: dict[int, Limit] = field(default_factory=dict)
    providers: dict[str, Limit] = field(default_factory=dict)
    here: dict[str, Limit] = field(default_factory=dict)  # of a provider through this transport
    stopped: frozenset[str] = frozenset()  # providers that are sent nothing now
    apart: frozenset[str] = frozenset()  # providers with limits: never out of the common pool

    def limits_of(self, queue: Queue) -> list[Limit]:
        """Return the limits that say something on a queue."""
        found = [
            self.transport,
            self.here.get(ALL),
            self.here.get(queue.pool),
            self.streams.get(queue.stream),
            self.providers.get(queue.pool),
        ]
        return [limit for limit in found if limit is not None and not limit.is_open]

    def is_stopped(self, queue: Queue) -> bool:
        """Tell whether a queue may not move through this transport now."""
        return ALL in self.stopped or queue.pool in self.stopped


def read_rules(transport_id: int, stream_ids: Iterable[int]) -> Rules:
    """Read what stands now for mail of these streams through a transport."""
    transport = Transport.objects.get(pk=transport_id)
    streams = {stream.pk: stream for stream in Stream.objects.prefetch_related("routes")}
    reserved = {pk: stream.reserved / 100 for pk, stream in streams.items()}
    routed = {
        pk: reserved[pk]
        for pk, stream in streams.items()
        if any(route.transport_id == transport_id for route in stream.routes.all())
    }
    limits = ProviderLimit.objects.all()
    slowed = _slowed(transport_id)
    return Rules(
        transport=Limit(
            key=f"t{transport_id}",
            rate_per_minute=transport.rate_per_minute,
            per_day=transport.daily_quota,
            shares=scaled(routed),
        ),
        streams={
            pk: Limit(f"s{pk}", streams[pk].rate_per_minute) for pk in stream_ids if pk in streams
        },
        providers={
            limit.mailbox_provider: Limit(
                f"p:{limit.mailbox_provider}", limit.rate_per_minute, shares=scaled(reserved)
            )
            for limit in limits
        },
        here={
            place: Limit(f"t{transport_id}:{place}", row.rate_per_minute, shares=scaled(routed))
            for place, row in slowed.items()
        },
        stopped=_stopped(transport_id),
        apart=frozenset({limit.mailbox_provider for limit in limits} | set(slowed)),
    )


def _slowed(transport_id: int) -> dict[str, Pressure]:
    rows = Pressure.objects.filter(transport_id=transport_id)
    return {row.mailbox_provider or ALL: row for row in rows}


def _stopped(transport_id: int) -> frozenset[str]:
    rows = Pressure.objects.filter(transport_id=transport_id, stopped_until__gt=Now())
    return frozenset(
        provider or ALL for provider in rows.values_list("mailbox_provider", flat=True)
    )
