"""Spans of time as a viewer counts them: days begin at midnight in the viewer's zone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

HOUR, DAY = "hour", "day"


@dataclass(frozen=True)
class Period:
    start: datetime
    end: datetime  # not in it
    zone: tzinfo
    step: str = DAY

    @property
    def previous(self) -> "Period":
        """The period of the same length before, by the calendar where it counts in days."""
        if self.step == HOUR:
            return Period(self.start - (self.end - self.start), self.start, self.zone, HOUR)
        days = (self._day(self.end) - self._day(self.start)).days
        first = self._day(self.start) - timedelta(days=days)
        return Period(midnight(first, self.zone), self.start, self.zone)

    def steps(self) -> Iterator[datetime]:
        """Yield the beginnings of its hours or days; a day may have 23 or 25 hours."""
        if self.step == HOUR:
            at = self.step_of(self.start)
            while at < self.end:
                yield at
                at += timedelta(hours=1)
            return
        day = self._day(self.start)
        while (at := midnight(day, self.zone)) < self.end:
            yield at
            day += timedelta(days=1)

    def step_of(self, moment: datetime) -> datetime:
        """Return the beginning of the hour or day that `moment` lies in."""
        if self.step == DAY:
            return midnight(self._day(moment), self.zone)
        minutes = moment.astimezone(self.zone).minute
        return moment.astimezone(UTC).replace(second=0, microsecond=0) - timedelta(minutes=minutes)

    def _day(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def label_of(self, step: datetime) -> str:
        local = step.astimezone(self.zone)
        return f"{local:%-d %b %H:%M}" if self.step == HOUR else f"{local:%-d %b %Y}"


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return when `day` begins in `zone`, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def last_hours(now: datetime, hours: int, zone: tzinfo) -> Period:
    """Return the last `hours`, the running one included."""
    probe = Period(now, now, zone, HOUR)
    end = probe.step_of(now) + timedelta(hours=1)
    return Period(end - timedelta(hours=hours), end, zone, HOUR)


def last_days(now: datetime, days: int, zone: tzinfo) -> Period:
    """Return the last `days`, today included."""
    today = now.astimezone(zone).date()
    return from_to(today - timedelta(days=days - 1), today, zone)


def from_to(first: date, last: date, zone: tzinfo) -> Period:
    """Return the days from `first` to `last`, both included."""
    return Period(midnight(first, zone), midnight(last + timedelta(days=1), zone), zone)
