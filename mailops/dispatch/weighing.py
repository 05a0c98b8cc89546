"""Divides the mail of a stream that routes by weight among its transports, by the ids of messages.

So each transport finds its own part whoever claims, in whatever process, and a message that is tried again goes the same
way. Parts are wishes, not bounds: when they shift, two transports may reach for one message, and only one gets it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mailops.dispatch.rules import Rules
from mailops.dispatch.spilling import used_up
from mailops.outbox.queues import Queue


class Share(NamedTuple):
    """The messages whose id modulo `total` lies between; all of them where `total` is 0."""

    low: int = 0
    high: int = 0
    total: int = 0


EVERYTHING = Share()
Weights = Sequence[tuple[int, int]]  # transports that may carry a stream's mail, with their weights


def shares_of(
    queues: Sequence[Queue],
    transport_id: int,
    weights: Mapping[int, Weights],
    rules_of: Callable[[int], Rules],
) -> dict[Queue, Share]:
    """Return which part of each queue `transport_id` carries; who has sent its number of today leaves it to the others.

    `weights` is stream → its transports. One that is not among its own (its breaker is open) probes with any message.
    """
    weighted = [queue for queue in queues if queue.stream in weights]
    others = {
        queue: [one for one, _ in weights[queue.stream] if one != transport_id]
        for queue in weighted
    }
    spent = used_up(others, rules_of)
    return {
        queue: _share(
            transport_id, [one for one in weights[queue.stream] if (queue, one[0]) not in spent]
        )
        for queue in weighted
    }


def _share(transport_id: int, weights: Weights) -> Share:
    low = 0
    total = sum(weight for _, weight in weights)
    for one, weight in weights:
        if one == transport_id:
            return EVERYTHING if weight == total else Share(low, low + weight - 1, total)
        low += weight
    return EVERYTHING
