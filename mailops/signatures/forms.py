"""What the pages of signatures may be asked."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.domains.models import Domain
from mailops.lib.moments import NOT_LATER, YET_TO_COME, HandedMoment
from mailops.lib.templatetags.words import reason_word
from mailops.protocol.classification import Reason
from mailops.reports.periods import Period, between, fitting_step, last_days
from mailops.transports.models import Stream, Transport

HOURS = {"1h": 1, "6h": 6, "24h": 24}
DAYS = {"7d": 7, "14d": 14, "30d": 30, "90d": 90, "365d": 365}
RANGES = [
    ("1h", "Last hour"),
    ("6h", "Last 6 hours"),
    ("24h", "Last 24 hours"),
    ("7d", "Last 7 days"),
    ("14d", "Last 14 days"),
    ("30d", "Last 30 days"),
    ("90d", "Last 90 days"),
    ("365d", "Last year"),
]
DEFAULT_RANGE = "14d"
LONGEST = timedelta(days=732)


class SignatureFilterForm(forms.Form):
    """Which replies are meant; a report's address, handed on, says the same here."""

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.SearchInput(attrs={"placeholder": "Words of the reply"}),
    )
    range = forms.CharField(
        label="Time",
        required=False,
        max_length=10,
        widget=forms.Select(choices=RANGES),
    )
    stream = forms.ModelChoiceField(
        required=False, queryset=Stream.objects.order_by("name"), empty_label="Any"
    )
    transport = forms.ModelChoiceField(
        required=False, queryset=Transport.objects.order_by("name"), empty_label="Any"
    )
    mailbox_provider = forms.CharField(label="Mailbox provider", required=False, max_length=100)
    reason = forms.ChoiceField(required=False)
    domain = forms.ModelChoiceField(
        required=False, queryset=Domain.objects.order_by("name"), widget=forms.HiddenInput
    )
    campaign = forms.ModelChoiceField(
        required=False, queryset=Campaign.objects.order_by("-id"), widget=forms.HiddenInput
    )
    since = HandedMoment(required=False)
    until = HandedMoment(required=False)

    def __init__(self, data: Any) -> None:
        given = {name: value for name, value in data.items() if value}
        super().__init__({"range": DEFAULT_RANGE, **given})
        words = sorted((reason_word(reason), str(reason)) for reason in Reason)
        choices = [("", "Any"), *((reason, word) for word, reason in words)]
        self.fields["reason"].choices = choices  # type: ignore[attr-defined]
        self.given = {name: value for name, value in given.items() if name in self.fields}

    def clean_range(self) -> str:
        """Take a range that other pages have and this one hasn't, such as a whole campaign, for the usual one."""
        asked = str(self.cleaned_data["range"])
        return asked if asked in HOURS or asked in DAYS else DEFAULT_RANGE

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        since, until = data.get("since"), data.get("until")
        if since and not self.errors:
            end = until or timezone.now()
            if end <= since:
                self.add_error(None, NOT_LATER if until else YET_TO_COME)
            elif end - since > LONGEST:
                self.add_error(None, "Choose at most two years.")
        return data

    def period(self) -> Period:
        zone, now = timezone.get_current_timezone(), timezone.now()
        if since := self.cleaned_data["since"]:
            return between(since, self.cleaned_data["until"] or now, zone)
        asked = self.cleaned_data["range"]
        if asked in HOURS:
            return between(now - timedelta(hours=HOURS[asked]), now, zone)
        days = last_days(now, DAYS[asked], zone)
        return Period(days.start, days.end, zone, fitting_step(days.start, days.end))

    @property
    def choices(self) -> dict[str, Any]:
        """Return the columns of a count that are chosen, as the reports name them."""
        data = self.cleaned_data
        named = ("stream", "transport", "domain", "campaign")
        chosen: dict[str, Any] = {f"{name}_id": data[name].pk for name in named if data[name]}
        if data["mailbox_provider"]:
            chosen["mailbox_provider"] = data["mailbox_provider"].strip().lower()
        return chosen

    def query(self, **changed: str) -> str:
        """Return the query string of the same choice, with some values changed; "" takes one out."""
        left = {name: value for name, value in {**self.given, **changed}.items() if value}
        return f"?{urlencode(left)}" if left else ""

    @property
    def ranges(self) -> list[tuple[str, str, bool]]:
        """Return the ready-made times: query string, words, and whether it is this one."""
        now = "" if self.given.get("since") else self.cleaned_data["range"]
        return [
            (self.query(range=value, since="", until=""), words, value == now)
            for value, words in RANGES
        ]
