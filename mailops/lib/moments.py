"""Moments as an address says them: a day, or a day and a time, with its offset where it is ours."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from mailops.lib.hours import changes_of_clocks

EARLIEST, LATEST = date(2000, 1, 1), date(2100, 1, 1)
NOT_LATER = "Choose an end that is later than the beginning."  # where both are the same, too
YET_TO_COME = "This is yet to come: choose an earlier beginning."
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
    """A day and a time, typed or handed on, as Django reads it, that a column can take.

    A time that clocks skip or show twice is refused, since something happens at it, once.
    """

    def to_python(self, value: Any) -> datetime | None:
        try:
            found: datetime | None = super().to_python(value)
        except ValidationError as error:
            raise _named(error) from error
        if found is not None:
            check_moment(found)
        return found


def _named(error: ValidationError) -> ValidationError:
    """Return the error in words of ours where it is that clocks are changed."""
    if error.code != "ambiguous_timezone":
        return error
    zone = timezone.get_current_timezone_name()
    return ValidationError(
        f"Clocks are changed in that hour: in {zone} this time comes twice, or never. Choose one before or after it."
    )


class DayInput(forms.DateInput):
    """The browser's field of days, or one of text for what that one would hide: nonsense."""

    def __init__(self) -> None:
        super().__init__({"type": "date"}, "%Y-%m-%d")

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        if value and not _DAY_OF_BROWSERS.fullmatch(context["widget"]["value"]):
            context["widget"]["type"] = "text"
        return context


_DAY_OF_BROWSERS = re.compile(r"\d{4}-\d\d-\d\d")


class DayField(forms.DateField):
    """A day, as the browser's field of days has it."""

    widget = DayInput
    default_error_messages: ClassVar = {"invalid": "Write a day, such as 2026-11-21."}

    def to_python(self, value: Any) -> date | None:
        found: date | None = super().to_python(value)
        if found is not None:
            check_day(found)
        return found


class MomentInput(forms.DateTimeInput):
    """The browser's field of times, or one of text for what that one would hide: an offset, or nonsense."""

    FORMAT = "%Y-%m-%dT%H:%M"

    def __init__(self) -> None:
        super().__init__({"type": "datetime-local", "step": 900}, self.FORMAT)

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        if value and not _SHOWN_BY_BROWSERS.fullmatch(str(value)):
            context["widget"]["type"] = "text"
        return context


_SHOWN_BY_BROWSERS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


class MomentField(forms.Field):
    """A day, or a day and a time of the viewer's zone (or of the offset it names), as in ISO 8601."""

    widget: type[forms.Widget] | forms.Widget = MomentInput

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
        """Show what an address says as the browser's field has it; with its offset where that would be another moment."""
        try:
            found = self.to_python(value)
        except ValidationError:
            return value
        if found is None:
            return ""
        if not isinstance(found, datetime):
            return f"{found:%Y-%m-%d}T00:00"
        local = timezone.localtime(found) if found.tzinfo else found
        if local.fold:  # the second of two times that look alike
            return local.isoformat(timespec="minutes")
        return f"{local:{MomentInput.FORMAT}}"


def since_of(given: date, zone: tzinfo) -> datetime:
    """Return the moment, in UTC, that a day begins, or that a time of `zone` is.

    A time that its clocks show twice is the first of both; one that they skip is the moment they are changed, so that
    what is later by the clock is never earlier.
    """
    if not isinstance(given, datetime):
        given = datetime.combine(given, time())
    if given.tzinfo:
        return given.astimezone(UTC)
    found = given.replace(tzinfo=zone).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None, fold=0) == given:
        return found
    before = given.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return next(changes_of_clocks(zone, before))


class SinceField(MomentField):
    """A day or a moment, as the moment at which it begins."""

    def to_python(self, value: Any) -> datetime | None:
        found = super().to_python(value)
        return since_of(found, timezone.get_current_timezone()) if found else None


class HandedMoment(SinceField):
    """What another page's address handed on; it is handed on as it came."""

    widget = forms.HiddenInput

    def prepare_value(self, value: Any) -> Any:
        return value
