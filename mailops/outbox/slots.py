"""The slots of latencies: a slot's number is how many of these bounds, in milliseconds, a latency has reached.

The numbers are in every count of the past and in a function of the database, so the bounds can't be changed.
"""

from bisect import bisect_right
from datetime import datetime
from typing import Any

GROWTH = 1.09
LONGEST = 2**31 - 1  # 24 days; what took longer counts as that
# what objectives speak of lies on a bound, so that how many were quicker is exact
SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 259200)  # fmt: skip

# a count's key → what was measured → its slots
Slots = dict[tuple[Any, ...], dict[str, list[int]]]


def _bounds() -> tuple[int, ...]:
    found, marks = [1], [1000 * seconds for seconds in SECONDS]
    while (following := max(found[-1] + 1, int(found[-1] * GROWTH))) < LONGEST:
        found.append(following)
    return tuple(sorted({*found, *marks}))


BOUNDS = _bounds()


def slot_of(milliseconds: int) -> int:
    return bisect_right(BOUNDS, milliseconds)


def milliseconds_between(since: datetime | None, until: datetime | None) -> int | None:
    if since is None or until is None:
        return None
    return min(max(round((until - since).total_seconds() * 1000), 0), LONGEST)


def note_slots(slots: Slots, key: tuple[Any, ...], **milliseconds: int | None) -> None:
    for name, found in milliseconds.items():
        if found is not None:
            slots.setdefault(key, {}).setdefault(name, []).append(slot_of(found))
