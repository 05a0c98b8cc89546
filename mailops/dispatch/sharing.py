"""Divides what may be claimed among the queues: reserved parts first, then evenly, nobody left out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailops.dispatch.limits import Bucket
from mailops.outbox.queues import Queue


@dataclass
class Gate:
    """What one queue must pass: all of its buckets."""

    stream_id: int
    buckets: Sequence[Bucket]
    most: int | None = None  # whatever they say

    def room(self, most: int) -> int:
        """Return how many of `most` messages may pass."""
        if self.most is not None:
            most = min(most, self.most)
        return min([most, *(bucket.room(self.stream_id) for bucket in self.buckets)])

    def opens_soon(self) -> bool:
        """Tell whether nothing may pass now, but in a moment: all that is closed is a rate."""
        closed = [bucket for bucket in self.buckets if not bucket.room(self.stream_id)]
        return bool(closed) and all(bucket.fills_soon(self.stream_id) for bucket in closed)

    def take(self, number: int) -> None:
        """Count messages that pass; a negative number gives back."""
        if self.most is not None:
            self.most -= number
        for bucket in self.buckets:
            bucket.take(self.stream_id, number)


def share_out(
    limit: int, gates: Mapping[Queue, Gate], shares: Mapping[int, float]
) -> dict[Queue, int]:
    """Return how many messages to ask of each queue, taken from the buckets already; in all `limit` at most.

    A stream of `shares` is asked for its part before the rest is divided evenly.
    """
    granted: Counter[Queue] = Counter()
    for stream_id, share in shares.items():
        own = {queue: gate for queue, gate in gates.items() if queue.stream == stream_id}
        granted += _evenly(int(limit * share), own)
    granted += _evenly(limit - granted.total(), gates)
    return dict(granted)


def _evenly(limit: int, gates: Mapping[Queue, Gate]) -> Counter[Queue]:
    granted: Counter[Queue] = Counter()
    active = list(gates)
    while limit > 0 and active:
        each = max(1, limit // len(active))
        more = []
        for queue in active:
            number = gates[queue].room(min(each, limit))
            gates[queue].take(number)
            granted[queue] += number
            limit -= number
            if number == each:
                more.append(queue)
        active = more
    return granted
