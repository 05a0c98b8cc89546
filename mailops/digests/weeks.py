"""When a digest is due, and of which week: Monday at eight in its reader's zone tells the whole week before."""

from datetime import date, datetime, time, timedelta, tzinfo

from mailops.reports.periods import Period, from_to

AT = time(8)
WEEK = timedelta(days=7)


def due_on(monday: date, zone: tzinfo) -> datetime:
    return datetime.combine(monday, AT, zone)


def last_due(now: datetime, zone: tzinfo) -> datetime:
    """Return the latest Monday at eight that is not after `now`."""
    monday = monday_of(now.astimezone(zone).date())
    due = due_on(monday, zone)
    return due if due <= now else due_on(monday - WEEK, zone)


def next_due(now: datetime, zone: tzinfo) -> datetime:
    return due_on(last_due(now, zone).date() + WEEK, zone)


def monday_of(day: date) -> date:
    return day - timedelta(days=day.weekday())


def week_before(due: datetime) -> date:
    """Return the Monday of the week that a digest due at `due` tells of."""
    return due.date() - WEEK


def last_whole_week(now: datetime, zone: tzinfo) -> date:
    """Return the Monday of the latest week that is over."""
    return monday_of(now.astimezone(zone).date()) - WEEK


def week_of(monday: date, zone: tzinfo) -> Period:
    return from_to(monday, monday + timedelta(days=6), zone)
