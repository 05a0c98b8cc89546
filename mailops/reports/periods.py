"""Spans of time as a viewer counts them: days begin at midnight in the viewer's zone."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import cached_property
from itertools import accumulate

from mailops.outbox.ledger import bucket_of

QUARTER_HOUR = timedelta(minutes=15)  # what counts are kept by
MOST_POINTS = 100  # of one chart; 25 hours have as many quarters


class Step(StrEnum):
    """How long a point of a chart is."""

    QUARTER = "15m"
    HOUR = "1h"
    THREE_HOURS = "3h"
    SIX_HOURS = "6h"
    DAY = "1d"
    WEEK = "1w"

    @property
    def length(self) -> timedelta:
        """Return its usual length; where clocks change it is another."""
        return _LENGTHS[self]


_LENGTHS = {
    Step.QUARTER: QUARTER_HOUR,
    Step.HOUR: timedelta(hours=1),
    Step.THREE_HOURS: timedelta(hours=3),
    Step.SIX_HOURS: timedelta(hours=6),
    Step.DAY: timedelta(days=1),
    Step.WEEK: timedelta(weeks=1),
}
QUARTER, HOUR, DAY = Step.QUARTER, Step.HOUR, Step.DAY


@dataclass(frozen=True)
class Period:
    start: datetime
    end: datetime  # not in it
    zone: tzinfo
    step: Step = DAY
    edges_given: tuple[datetime, ...] = ()  # of a period that is laid beside another one

    @property
    def previous(self) -> "Period":
        """The period of the same length before, by the calendar where it counts whole days; its steps match this one's."""
        edges = tuple(accumulate(map(self._earlier, self.edges), max))
        return Period(edges[0], self.start, self.zone, self.step, (*edges[:-1], self.start))

    @property
    def next_(self) -> "Period":
        """The period of the same length after."""
        if self.has_whole_days:
            days = self.days
            return from_to(
                self._day(self.end), self._day(self.end) + timedelta(days=days - 1), self.zone
            )
        return Period(self.end, self.end + (self.end - self.start), self.zone, self.step)

    def _earlier(self, moment: datetime) -> datetime:
        if not self.has_whole_days:
            return moment - (self.end - self.start)
        local = moment.astimezone(self.zone)
        day = local.date() - timedelta(days=self.days)
        if moment == midnight(local.date(), self.zone):  # a day may begin at one o'clock
            return midnight(day, self.zone)
        return _at(day, local.time(), self.zone)

    @cached_property
    def has_whole_days(self) -> bool:
        return all(midnight(self._day(at), self.zone) == at for at in (self.start, self.end))

    @property
    def days(self) -> int:
        return (self._day(self.end) - self._day(self.start)).days

    @cached_property
    def edges(self) -> tuple[datetime, ...]:
        """The beginnings of its steps, and its end."""
        if self.edges_given:
            return self.edges_given
        inner = {at for at in self._boundaries() if self.start < at < self.end}
        return (self.start, *sorted(inner), self.end)

    def steps(self) -> Iterator[datetime]:
        """Yield the beginnings of its steps; a day may have 23 or 25 hours."""
        yield from self.edges[:-1]

    def step_of(self, moment: datetime) -> datetime:
        """Return the beginning of the step that `moment` lies in."""
        return self.edges[max(bisect_right(self.edges, moment) - 1, 0)]

    def _boundaries(self) -> Iterator[datetime]:
        if self.step in {Step.QUARTER, Step.HOUR}:
            at = hour_of(self.start, self.zone)
            while at < self.end:
                yield at
                at += self.step.length
            return
        day = self._day(self.start)
        if self.step == Step.WEEK:
            day -= timedelta(days=day.weekday())
        leap = 7 if self.step == Step.WEEK else 1
        hours = range(0, 24, self.step.length // timedelta(hours=1)) if leap == 1 else (0,)
        while midnight(day, self.zone) < self.end:
            yield from (_at(day, time(hour), self.zone) for hour in hours)
            day += timedelta(days=leap)

    def _day(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def label_of(self, step: datetime) -> str:
        local = step.astimezone(self.zone)
        if self.step.length >= DAY.length:
            return f"{local:%-d %b %Y}"
        is_told_twice = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
        return f"{local:%-d %b %H:%M}" + (f" {local:%Z}" if is_told_twice else "")

    @property
    def words(self) -> str:
        """Say it: its first and last day, or its ends with times of day."""
        first, last = self.start.astimezone(self.zone), self.end.astimezone(self.zone)
        if self.has_whole_days:
            last_day = last.date() - timedelta(days=1)
            one = f"{first:%-d %b %Y}"
            return one if last_day == first.date() else f"{one} – {last_day:%-d %b %Y}"
        end = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%-d %b %Y, %H:%M}"
        return f"{first:%-d %b %Y, %H:%M} – {end}"


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return when `day` begins in `zone`, in UTC."""
    return _at(day, time(), zone)


def _at(day: date, clock: time, zone: tzinfo) -> datetime:
    return datetime.combine(day, clock, zone).astimezone(UTC)


def hour_of(moment: datetime, zone: tzinfo) -> datetime:
    """Return the beginning of the zone's hour that `moment` lies in."""
    minutes = moment.astimezone(zone).minute
    return moment.astimezone(UTC).replace(second=0, microsecond=0) - timedelta(minutes=minutes)


def fitting_step(start: datetime, end: datetime) -> Step:
    """Return the finest step that doesn't draw too many points."""
    fitting = (step for step in Step if (end - start) / step.length <= MOST_POINTS)
    return next(fitting, Step.WEEK)


def between(start: datetime, end: datetime, zone: tzinfo, step: Step | None = None) -> Period:
    """Return the quarter hours that `start` and `end` lie in and those between, in fitting steps."""
    first, last = bucket_of(start), bucket_of(end - timedelta(microseconds=1)) + QUARTER_HOUR
    return Period(first, last, zone, step or fitting_step(first, last))


def last_days(now: datetime, days: int, zone: tzinfo, step: Step = DAY) -> Period:
    """Return the last `days`, today included."""
    today = now.astimezone(zone).date()
    return from_to(today - timedelta(days=days - 1), today, zone, step)


def from_to(first: date, last: date, zone: tzinfo, step: Step = DAY) -> Period:
    """Return the days from `first` to `last`, both included."""
    start, end = midnight(first, zone), midnight(last + timedelta(days=1), zone)
    return Period(start, end, zone, step)
