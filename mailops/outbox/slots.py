"""The slots of latencies: a slot's number is how many of these bounds, in milliseconds, a latency has reached.

The numbers are in every count of the past and in a function of the database, so the bounds can't be changed.
"""

from bisect import bisect_right

GROWTH = 1.09
LONGEST = 2**31 - 1  # 24 days; what took longer counts as that
# what objectives speak of lies on a bound, so that how many were quicker is exact
SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 259200)  # fmt: skip


def _bounds() -> tuple[int, ...]:
    found, marks = [1], [1000 * seconds for seconds in SECONDS]
    while (following := max(found[-1] + 1, int(found[-1] * GROWTH))) < LONGEST:
        found.append(following)
    return tuple(sorted({*found, *marks}))


BOUNDS = _bounds()


def slot_of(milliseconds: int) -> int:
    return bisect_right(BOUNDS, milliseconds)
