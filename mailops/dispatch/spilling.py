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
    numbers = {
        queue: [_of_a_day(rules_of(one), queue) for one in before.get(queue.stream, ())]
        for queue in queues
    }
    keys = {limit.key for each in numbers.values() for limits in each for limit in limits}
    spent = read_spent(keys)

    def is_used_up(limit: Limit, queue: Queue) -> bool:
        return spent.get(limit.key, 0) >= limit.of_a_day(queue.stream)

    return [
        queue
        for queue in queues
        if all(any(is_used_up(limit, queue) for limit in limits) for limits in numbers[queue])
    ]


def _of_a_day(rules: Rules, queue: Queue) -> list[Limit]:
    return [limit for limit in rules.limits_of(queue) if limit.per_day is not None]
