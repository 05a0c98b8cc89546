"""What each of any number of strangers did within a day, in memory that doesn't grow with them."""

import time
from collections.abc import Callable, Hashable

DAY = 86_400.0  # seconds
PLACES = 65_536


class DailyCounts:
    """Counts by place, which those of one hash share: nobody knows with whom. They begin anew with the process."""

    def __init__(
        self, *, places: int = PLACES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._places = places
        self._clock = clock
        self._begin()

    def of(self, whose: Hashable) -> int:
        """Return what was counted today."""
        if self._clock() >= self._until:
            self._begin()
        return self._counts[hash(whose) % self._places]

    def add(self, whose: Hashable, count: int) -> None:
        self._counts[hash(whose) % self._places] += count

    def _begin(self) -> None:
        self._until = self._clock() + DAY
        self._counts = [0] * self._places
