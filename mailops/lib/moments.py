"""Moments as an address says them: a day, or a day and a time, with its offset where it is ours."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

EARLIEST, LATEST = date(2000, 1, 1), date(2100, 1, 1)
FARTHEST_CLOCK = timedelta(hours=15)  # from UTC; PostgreSQL refuses one of sixteen


def check_day(day: date) -> None:
    """Refuse a day so far off that the hours of a zone could lead out of the calendar."""
    if not EARLIEST <= day <= LATEST:
        raise ValidationError(f"Choose a day between {EARLIEST.year} and {LATEST.year}.")


def check_moment(moment: datetime) -> None:
    """Refuse what `check_day` refuses, and the time of a clock that nobody has, which no column takes."""
    check_day(moment.date())
    if abs(moment.utcoffset() or timedelta()) > FARTHEST_CLOCK:
        raise ValidationError("No clock is that far from UTC: write an offset such as +02:00.")


class TypedTimeField(forms.DateTimeField):
    """A day and a time, typed or handed on, as Django reads it, that a column can take."""

    def to_python(self, value: Any) -> datetime | None:
        found: datetime | None = super().to_python(value)
        if found is not None:
            check_moment(found)
        return found


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
        if isinstance(found, datetime):
            check_moment(found)
        else:
            check_day(found)
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
        return datetime.combine(given, time(), zone).astimezone(UTC)
    return given if given.tzinfo else datetime.combine(given.date(), given.time(), zone)


class HandedMoment(MomentField):
    """A day or a moment that another page's address handed on; it is handed on as it came."""

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> datetime | None:
        found = super().to_python(value)
        return since_of(found, timezone.get_current_timezone()) if found else None

    def prepare_value(self, value: Any) -> Any:
        return value
