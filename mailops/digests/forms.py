"""What the pages of the digest may be asked and given."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from mailops.accounts.meanwhile import field_of
from mailops.digests.weeks import last_whole_week, monday_of
from mailops.domains.models import Identity
from mailops.lib.moments import DayField
from mailops.transports.models import Stream
from mailops.transports.ties import foreign_sender

LONGEST = timedelta(days=732)  # as far as the reports go back


class SwitchForm(forms.Form):
    on = forms.TypedChoiceField(
        choices=[("1", "On"), ("0", "Off")], coerce=lambda value: value == "1"
    )
    back = forms.ChoiceField(
        choices=[("digests:mine", ""), ("accounts:profile", "")], required=False
    )

    @property
    def page(self) -> str:
        """Return the name of the page to go back to."""
        return str(self.cleaned_data.get("back") or "digests:mine")


class WeekForm(forms.Form):
    """Which week a preview shows, in the viewer's zone: any day of it, the last whole one where none is given."""

    week = DayField(label="Any day of the week")

    def __init__(self, data: Any) -> None:
        self.last = last_whole_week(timezone.now(), timezone.get_current_timezone())
        super().__init__({"week": data.get("week") or self.last})

    def clean_week(self) -> date:
        given: date = self.cleaned_data["week"]
        last = self.last
        if given.year < 2000 or last - given > LONGEST:
            raise forms.ValidationError("Choose a week of the last two years.")
        monday = monday_of(given)
        if monday > last:
            raise forms.ValidationError("This week is not over yet: a digest tells of a whole one.")
        return monday

    @property
    def monday(self) -> date:
        found: date = self.cleaned_data["week"]
        return found

    @property
    def is_last(self) -> bool:
        return self.monday == self.last


class WayForm(forms.Form):
    stream = forms.ModelChoiceField(
        Stream.objects.order_by("-kind", "name"),
        empty_label="Choose a stream",
        help_text="A transactional one, best over another transport than your campaigns: the digest should arrive when they stand still.",
    )
    identity = forms.ModelChoiceField(
        Identity.objects.select_related("domain").order_by("name"),
        label="From",
        empty_label="Choose a sender",
        help_text="Whom the mail says it is from, of the stream's domain.",
    )

    seen = field_of("")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        stream, identity = given.get("stream"), given.get("identity")
        if stream and identity and (why := foreign_sender(stream, identity)):
            self.add_error("identity", why)
        return given
