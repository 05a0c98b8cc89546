"""Hours that a clock on a wall keeps: a window on days of the week, quiet hours; in any zone, also when clocks change."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache

from mailops.lib.time_zones import zone

_DAY = timedelta(days=1)
_AHEAD = 8  # days looked at in one go: a week, and the evening before it
# times that; a window that falls into the hour that a clock skips is open a week later
_FARTHEST = 10
_KEPT = 8  # answers for one zone: those of today, and of when deferred mail is due
_MIDNIGHT = time()
EVERY_DAY = frozenset(range(1, 8))


class NeverOpen(ValueError):
    """These hours leave no minute of the week."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When something may happen: inside the window that begins on one of `days`, and outside the quiet hours.

    A span that ends before it begins goes over midnight. Local times that a clock shows twice count both times; those
    that it skips count neither.
    """

    window_from: time | None = None
    window_to: time | None = None
    days: frozenset[int] = EVERY_DAY  # of the week, 1 is Monday: those on which a window begins
    quiet_from: time | None = None
    quiet_to: time | None = None

    @property
    def are_set(self) -> bool:
        """Tell whether they forbid anything at all."""
        return self.window_from is not None or self.quiet_from is not None or self.days != EVERY_DAY

    @property
    def are_ever_open(self) -> bool:
        monday = datetime(2024, 1, 1)  # noqa: DTZ001 - a wall clock's, of no zone
        days = [monday + day * _DAY for day in range(7)]
        return any(
            self.allow(datetime.combine(day, edge)) for day in days for edge in self._edges()
        )

    def allow(self, local: datetime) -> bool:
        """Tell whether a clock that shows `local` is inside these hours."""
        return self._in_window(local) and not self._is_quiet(local.time())

    def _in_window(self, local: datetime) -> bool:
        day, at = local.isoweekday(), local.time()
        if self.window_from is None or self.window_to is None:
            return day in self.days
        if self.window_from < self.window_to:
            return day in self.days and self.window_from <= at < self.window_to
        is_night_before = (day - 2) % 7 + 1 in self.days and at < self.window_to
        return is_night_before or (day in self.days and at >= self.window_from)

    def _is_quiet(self, at: time) -> bool:
        if self.quiet_from is None or self.quiet_to is None:
            return False
        if self.quiet_from < self.quiet_to:
            return self.quiet_from <= at < self.quiet_to
        return at >= self.quiet_from or at < self.quiet_to

    def _edges(self) -> set[time]:
        """Return the times of day at which they may begin or end."""
        edges = {_MIDNIGHT, self.window_from, self.window_to, self.quiet_from, self.quiet_to}
        return {edge for edge in edges if edge is not None}


@dataclass(frozen=True, slots=True)
class Opening:
    """When the hours are open next, or since when, and when they end; `closes_at` None: never."""

    opens_at: datetime
    closes_at: datetime | None


def opening(hours: Hours, zone_name: str, at: datetime) -> Opening:
    """Return the first opening of `hours` by the clocks of a zone that ends after `at`; it begins at `at` or later.

    Raises NeverOpen.
    """
    known = _known(hours, zone_name)
    # over a copy: other threads add to it
    found = next((span for span in tuple(known) if span.holds_at(at)), None)
    if found is None:
        found = _span(hours, zone(zone_name), at)
        known.insert(0, found)
        del known[_KEPT:]
    return Opening(max(found.opens_at, at), found.closes_at)


@dataclass(frozen=True, slots=True)
class _Span:
    """The answer that was found for `asked_at`, and is right for all moments from then to its end."""

    asked_at: datetime
    opens_at: datetime
    closes_at: datetime | None

    def holds_at(self, at: datetime) -> bool:
        return self.asked_at <= at and (self.closes_at is None or at < self.closes_at)


@lru_cache(maxsize=4096)
def _known(_hours: Hours, _zone_name: str) -> list[_Span]:
    """Return the answers found so far, the newest first: a chunk of messages asks the same again and again."""
    return []


def _span(hours: Hours, place: tzinfo, at: datetime) -> _Span:
    if not hours.are_set:
        return _Span(at, at, None)
    is_open = hours.allow(at.astimezone(place))
    opens_at = at if is_open else _next(hours, place, at, is_open=True)
    if opens_at is None:
        raise NeverOpen("These hours leave no minute of the week.")
    return _Span(at, opens_at, _next(hours, place, opens_at, is_open=False))


def _next(hours: Hours, place: tzinfo, after: datetime, *, is_open: bool) -> datetime | None:
    """Return the first moment after `after` at which the hours are open, or closed; None where that never comes."""
    for turn in range(_FARTHEST):
        for moment in sorted(set(_moments(hours, place, after + turn * _AHEAD * _DAY))):
            if moment > after and hours.allow(moment.astimezone(place)) == is_open:
                return moment
    return None


def _moments(hours: Hours, place: tzinfo, start: datetime) -> Iterator[datetime]:
    """Yield, in no order, all moments of some days at which anything can begin or end; and a few others."""
    first = start.astimezone(place).date() - _DAY
    for number in range(_AHEAD + 3):
        day = first + number * _DAY
        for edge in hours._edges():  # noqa: SLF001 - two halves of one thing
            for fold in (0, 1):
                local = datetime.combine(day, edge, tzinfo=place).replace(fold=fold)
                yield local.astimezone(UTC)
        yield from changes_of_clocks(place, datetime.combine(day, _MIDNIGHT, tzinfo=UTC))


def changes_of_clocks(place: tzinfo, start: datetime) -> Iterator[datetime]:
    """Yield the minute in the day from `start` on at which the clocks of a place are changed, if they are."""
    before, after = start, start + _DAY
    if _offset(place, before) == _offset(place, after):
        return
    while after - before > timedelta(minutes=1):
        middle = before + (after - before) // timedelta(minutes=2) * timedelta(minutes=1)
        if _offset(place, middle) == _offset(place, start):
            before = middle
        else:
            after = middle
    yield after


def _offset(place: tzinfo, moment: datetime) -> timedelta | None:
    return moment.astimezone(place).utcoffset()
