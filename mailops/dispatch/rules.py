"""Which limits stand in a queue's way through a transport."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from mailops.dispatch.limits import Limit, scaled
from mailops.outbox.queues import Queue
from mailops.transports.models import ProviderLimit, Stream, Transport


@dataclass(frozen=True)
class Rules:
    """The limits of one transport, its streams and the mailbox providers, as they were read from their rows."""

    transport: Limit
    streams: dict[int, Limit] = field(default_factory=dict)
    providers: dict[str, Limit] = field(default_factory=dict)
    apart: frozenset[str] = (
        frozenset()
    )  # providers with a row: never sent to out of the common pool

    def limits_of(self, queue: Queue) -> list[Limit]:
        """Return the limits that say something on a queue, the transport's first."""
        found = [self.transport]
        found += filter(None, [self.streams.get(queue.stream), self.providers.get(queue.pool)])
        return [limit for limit in found if not _is_open(limit)]


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
        apart=frozenset(limit.mailbox_provider for limit in limits),
    )


def _is_open(limit: Limit) -> bool:
    return limit.rate_per_minute is None and limit.per_day is None
