"""Moments as the address of a report says them: a day, or a day and a time, with its offset where it is ours."""

from datetime import date, datetime, tzinfo
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from mailops.reports.periods import midnight

EARLIEST, LATEST = date(2000, 1, 1), date(2100, 1, 1)


class MomentField(forms.Field):
    """A day, or a day and a time of the viewer's zone (or of the offset it names), as in ISO 8601."""

    widget: type[forms.Widget] | forms.Widget = forms.DateTimeInput(
        {"type": "datetime-local", "step": 900}, "%Y-%m-%dT%H:%M"
    )

    def to_python(self, value: Any) -> date | datetime | None:
        text = str(value or "").strip().replace(" ", "+")  # a plus sign that an address lost
        if not text:
            return None
        try:
            found = date.fromisoformat(text) if len(text) <= 10 else datetime.fromisoformat(text)
        except ValueError as error:
            raise ValidationError(
                "Write a day, or a day and a time: 2026-11-21 or 2026-11-21T14:00."
            ) from error
        day = found.date() if isinstance(found, datetime) else found
        if not EARLIEST <= day <= LATEST:
            raise ValidationError(f"Choose a day from {EARLIEST.year} on.")
        return found

    def prepare_value(self, value: Any) -> Any:
        """Show what an address says in the one way that the browser's field understands."""
        try:
            found = self.to_python(value)
        except ValidationError:
            return value
        if found is None:
            return ""
        if not isinstance(found, datetime):
            return f"{found:%Y-%m-%d}T00:00"
        local = timezone.localtime(found) if found.tzinfo else found
        return f"{local:%Y-%m-%dT%H:%M}"


def since_of(given: date, zone: tzinfo) -> datetime:
    """Return the moment that a day begins, or that a time of `zone` is."""
    if not isinstance(given, datetime):
        return midnight(given, zone)
    return given if given.tzinfo else datetime.combine(given.date(), given.time(), zone)


def moments(start: datetime, end: datetime) -> dict[str, str]:
    """Return `since` and `until` as an address says them: with the offset, since some times are told twice a year."""
    return {
        name: timezone.localtime(at).isoformat(timespec="minutes")
        for name, at in (("since", start), ("until", end))
    }


def at_times(start: datetime, end: datetime) -> str:
    """Return the query string of a report of this time, of nothing else."""
    return f"?{urlencode(moments(start, end))}"
