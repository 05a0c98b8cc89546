"""Histograms of how long it took, in slots that grow by 9 %: they add up over any range, and tell percentiles to 5 %."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from mailops.outbox.slots import BOUNDS


class Which(StrEnum):
    """What was measured; the values are measures of `outbox.CountKey`."""

    # from the moment a message was owed until the next hop took it, retries and all
    ACCEPT = "accept"
    DELIVER = "arrive"  # from there until the final server confirmed it, where it does
    QUEUE = "queue"  # from the moment the attempt was due until its body began to go out


@dataclass(frozen=True)
class Histogram:
    slots: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[tuple[str | int, int]]) -> "Histogram":
        slots: dict[int, int] = defaultdict(int)
        for slot, n in rows:
            slots[int(slot)] += n
        return cls(dict(slots))

    @classmethod
    def sum(cls, histograms: Iterable["Histogram"]) -> "Histogram":
        return cls.of(pair for one in histograms for pair in one.slots.items())

    @property
    def total(self) -> int:
        return sum(self.slots.values())

    def __add__(self, other: "Histogram") -> "Histogram":
        return Histogram.of([*self.slots.items(), *other.slots.items()])

    def percentile(self, percent: float) -> float | None:
        """Return the seconds within which `percent` of them were done, at most 5 % from the truth; None without any.

        Below 12 ms it is exact to the millisecond.
        """
        rank, seen = percent / 100 * self.total, 0
        for slot, n in sorted(self.slots.items()):
            seen += n
            if n and seen >= rank:
                return middle_of(slot)
        return None

    def within(self, seconds: float) -> int:
        """Return how many took less; exact where `seconds` is one of the marks of `outbox.slots`, else to 9 %."""
        last = bisect_right(BOUNDS, round(seconds * 1000))
        return sum(n for slot, n in self.slots.items() if slot < last)


def middle_of(slot: int) -> float:
    """Return the seconds that stand for a slot: as far from its one end as from the other, in proportion."""
    if slot >= len(BOUNDS):
        return BOUNDS[-1] / 1000
    low, high = (BOUNDS[slot - 1] if slot else 0), BOUNDS[slot] - 1
    return (low * high * 2 / (low + high) if low + high else 0) / 1000
