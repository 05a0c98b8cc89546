"""The form of hours, of a stream and of a campaign."""

from datetime import time
from typing import Any

from django import forms
from django.conf import settings

from mailops.lib.hours import EVERY_DAY, Hours
from mailops.lib.time_zones import zone_choices
from mailops.transports.models import DAYS, KeepsHours

_SPANS = {"window": "window", "quiet": "quiet hours"}


class ClockField(forms.TimeField):
    def __init__(self, label: str) -> None:
        widget = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
        super().__init__(
            required=False,
            label=label,
            widget=widget,
            input_formats=["%H:%M", "%H:%M:%S"],
        )

    def clean(self, value: Any) -> time | None:
        cleaned: time | None = super().clean(value)
        return cleaned and cleaned.replace(second=0, microsecond=0)


class HoursForm(forms.Form):
    """A window and quiet hours, by the recipient's clock; all empty: at any time."""

    window_from = ClockField("Send from")
    window_to = ClockField("Send until")
    window_days = forms.TypedMultipleChoiceField(
        label="On these days",
        required=False,
        choices=list(DAYS.items()),
        coerce=int,
        widget=forms.CheckboxSelectMultiple,
        help_text="None: every day. A window that goes over midnight belongs to the day on which it begins.",
    )
    quiet_from = ClockField("Quiet from")
    quiet_to = ClockField("Quiet until")
    time_zone = forms.ChoiceField(
        label="Where a recipient's time zone is not known, use", required=False
    )
    revision = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, above: str = "", **kwargs: Any) -> None:
        """Fill in a form; `above` names the zone that counts where none is chosen."""
        super().__init__(*args, **kwargs)
        above = above or f"{settings.MAILOPS_TIME_ZONE}, the installation's"
        self.fields["time_zone"].choices = [("", above), *zone_choices()]  # type: ignore[attr-defined]

    @classmethod
    def initial_of(cls, keeper: KeepsHours) -> dict[str, Any]:
        return {name: getattr(keeper, name) for name in keeper.HOURS}

    def clean_window_days(self) -> list[int]:
        days = sorted(self.cleaned_data["window_days"])
        return [] if len(days) == len(DAYS) else days

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        for span, words in _SPANS.items():
            self._clean_span(span, words)
        if not self.errors and not self._hours().are_ever_open:
            raise forms.ValidationError(
                "The quiet hours cover the whole window: no mail would ever leave."
            )
        return cleaned

    def _clean_span(self, span: str, words: str) -> None:
        begin, end = f"{span}_from", f"{span}_to"
        if begin in self.errors or end in self.errors:
            return
        given = {name: self.cleaned_data.get(name) for name in (begin, end)}
        for name, value in given.items():
            if value is None and any(each is not None for each in given.values()):
                self.add_error(name, f"Give both ends of the {words}, or none.")
        if given[begin] is not None and given[begin] == given[end]:
            self.add_error(end, "It ends where it begins. For the whole day, give no times.")

    def _hours(self) -> Hours:
        given = {name: self.cleaned_data[name] for name in KeepsHours.HOURS[:2]}
        quiet = {name: self.cleaned_data[name] for name in ("quiet_from", "quiet_to")}
        days = frozenset(self.cleaned_data["window_days"]) or EVERY_DAY
        return Hours(**given, days=days, **quiet)

    @property
    def hours(self) -> dict[str, Any]:
        """Return the values that a stream or a campaign keeps."""
        return {name: self.cleaned_data[name] for name in KeepsHours.HOURS}


def hours_told(hours: str, zone: str) -> list[tuple[str, str]]:
    """Return what a page tells of hours, given in words, and of the zone where a recipient's is not known."""
    return [("Leaves", hours), ("Where a time zone is not known", zone)]
