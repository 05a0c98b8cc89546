"""Moments in words, and the times that a report's address says, so that other pages lead to it."""

from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.utils import timezone


def moments(start: datetime, end: datetime) -> dict[str, str]:
    """Return `since` and `until` as an address says them, the minutes that both lie in included.

    With the offset, since some times are told twice a year.
    """
    last = end + timedelta(minutes=1, microseconds=-1)
    return {
        name: timezone.localtime(at).isoformat(timespec="minutes")
        for name, at in (("since", start), ("until", last))
    }


def at_times(start: datetime, end: datetime) -> str:
    """Return the query string of a report of this time, of nothing else."""
    return f"?{urlencode(moments(start, end))}"


def moment_of(at: datetime) -> str:
    """Say a moment in a sentence that may be read in another zone."""
    return f"{timezone.localtime(at):%d %b at %H:%M %Z}"
