"""Lets mail that a transport may send no more today go through the stream's next one."""

from collections.abc import Callable, Mapping, Sequence

from mailops.dispatch.limits import Limit, read_spent
from mailops.dispatch.rules import Rules
from mailops.outbox.queues import Queue


def spilled(
    queues: Sequence[Queue],
    before: Mapping[int, Sequence[int]],
    rules_of: Callable[[int], Rules],
) -> list[Queue]:
    """Leave out the queues that go through another transport as long as its day's number isn't used up.

    `before` is stream → the transports it goes through first.
    """
    if not before:
        return list(queues)
    first = {queue: before.get(queue.stream, ()) for queue in queues}
    spent = used_up(first, rules_of)
    return [queue for queue in queues if all((queue, one) in spent for one in first[queue])]


def used_up(
    transports: Mapping[Queue, Sequence[int]], rules_of: Callable[[int], Rules]
) -> set[tuple[Queue, int]]:
    """Return the pairs of a queue and one of its `transports` that may send no more of it today."""
    numbers = {
        (queue, one): _of_a_day(rules_of(one), queue)
        for queue, some in transports.items()
        for one in some
    }
    keys = {limit.key for limits in numbers.values() for limit in limits}
    spent = read_spent(keys) if keys else {}
    return {
        pair
        for pair, limits in numbers.items()
        if any(spent.get(limit.key, 0) >= limit.of_a_day(pair[0].stream) for limit in limits)
    }


def _of_a_day(rules: Rules, queue: Queue) -> list[Limit]:
    return [limit for limit in rules.limits_of(queue) if limit.per_day is not None]
