"""The query strings of the report pages; each filter lives in the address and nowhere else."""

from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.db.models import Model, QuerySet
from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.domains.models import Domain
from mailops.lib.moments import NOT_LATER, YET_TO_COME, MomentField, since_of
from mailops.lib.quick_select import QuickSelect
from mailops.lib.templatetags.words import OURS, reason_word
from mailops.lib.whole_numbers import LARGEST_ID, whole_number
from mailops.protocol.classification import Reason
from mailops.reports.charts import CHARTS
from mailops.reports.moments import moments
from mailops.reports.periods import (
    Period,
    Step,
    between,
    fitting_step,
    last_days,
    midnight,
)
from mailops.reports.subjects import Subject
from mailops.transports.models import Stream, Transport

LONGEST = timedelta(days=732)
MOST_STEPS = 400  # of one's own choice
CAMPAIGNS = 200  # offered, the newest
HOURS = {"1h": 1, "6h": 6, "24h": 24}
DAYS = {"7d": 7, "14d": 14, "30d": 30, "90d": 90, "365d": 365}
WHOLE = "all"  # of a campaign
RANGES = [
    ("1h", "1 hour"),
    ("6h", "6 hours"),
    ("24h", "24 hours"),
    ("7d", "7 days"),
    ("14d", "14 days"),
    ("30d", "30 days"),
    ("90d", "90 days"),
    ("365d", "1 year"),
]
STEPS = [
    ("", "Automatic"),
    (Step.QUARTER, "Quarter hours"),
    (Step.HOUR, "Hours"),
    (Step.THREE_HOURS, "3 hours"),
    (Step.SIX_HOURS, "6 hours"),
    (Step.DAY, "Days"),
    (Step.WEEK, "Weeks"),
]
DIMENSIONS = [
    ("mailbox_provider", "Mailbox provider"),
    ("domain", "Domain"),
    ("stream", "Stream"),
    ("transport", "Transport"),
    ("campaign", "Campaign"),
    ("version", "Template version"),
]
DEFAULT_RANGE, DEFAULT_DIMENSION = "14d", "mailbox_provider"
IDS = ("domain", "stream", "transport", "campaign", "version")


class ReportForm(forms.Form):
    range = forms.ChoiceField(
        choices=[*RANGES, (WHOLE, "Whole campaign")], required=False, widget=forms.HiddenInput
    )
    since = MomentField(label="From", required=False)
    until = MomentField(label="To", required=False)
    step = forms.ChoiceField(label="Steps", choices=STEPS, required=False, widget=QuickSelect)
    domain = forms.ChoiceField(required=False, widget=QuickSelect)
    stream = forms.ChoiceField(required=False, widget=QuickSelect)
    transport = forms.ChoiceField(required=False, widget=QuickSelect)
    campaign = forms.ChoiceField(required=False, widget=QuickSelect)
    mailbox_provider = forms.CharField(label="Mailbox provider", max_length=100, required=False)
    reason = forms.ChoiceField(label="Reason of bounces", required=False, widget=QuickSelect)
    by = forms.ChoiceField(label="Split by", choices=DIMENSIONS, required=False, widget=QuickSelect)
    version = forms.IntegerField(
        min_value=1, max_value=LARGEST_ID, required=False, widget=forms.HiddenInput
    )
    chart = forms.ChoiceField(
        choices=[(key, key) for key in CHARTS], required=False, widget=forms.HiddenInput
    )

    def __init__(self, data: Any, subject: Subject | None = None) -> None:
        self.subject = subject
        given = {name: value for name, value in data.items() if value}
        default_range = WHOLE if self._has_lifetime else DEFAULT_RANGE
        super().__init__({"range": default_range, "by": self._default_dimension, **given})
        self.given = given
        _offer(self.fields["domain"], Domain.objects.order_by("name"))
        _offer(self.fields["stream"], Stream.objects.order_by("name"))
        _offer(self.fields["transport"], Transport.objects.order_by("name"))
        campaigns = Campaign.objects.order_by("-id").only("id", "name")
        asked = str(given.get("campaign", ""))
        _offer(self.fields["campaign"], campaigns[:CAMPAIGNS], keep=asked, among=campaigns)
        reasons = sorted((reason_word(reason), reason) for reason in {*map(str, Reason), *OURS})
        self._choices("reason", [("", "Any"), *((reason, word) for word, reason in reasons)])
        if subject:
            del self.fields[subject.sort.filter_name]
            own = subject.sort.filter_name
            self._choices("by", [one for one in DIMENSIONS if one[0] != own])

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]

    @property
    def _default_dimension(self) -> str:
        is_provider = self.subject and self.subject.sort.filter_name == DEFAULT_DIMENSION
        return "stream" if is_provider else DEFAULT_DIMENSION

    @property
    def _has_lifetime(self) -> bool:
        return bool(self.subject and self.subject.lifetime(timezone.now()))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        since, until = cleaned.get("since"), cleaned.get("until")
        if until and not since:
            self.add_error("since", "Say from when.")
        elif since:
            self._clean_times(since, until)
        if not self.errors and self._steps() > MOST_STEPS:
            self.add_error("step", "These are too many steps for one chart; choose longer ones.")
        return cleaned

    def _clean_times(self, since: date, until: date | None) -> None:
        start, end = self._start(since), self._end(until)
        if end <= start:
            self.add_error(*("until", NOT_LATER) if until else ("since", YET_TO_COME))
        elif end - start > LONGEST:
            self.add_error("until" if until else "since", "Choose at most two years.")

    def _start(self, since: date) -> datetime:
        zone = timezone.get_current_timezone()
        return since_of(since, zone)

    def _end(self, until: date | None) -> datetime:
        zone = timezone.get_current_timezone()
        if until is None:
            return timezone.now()
        if isinstance(until, datetime):
            return since_of(until, zone)
        return midnight(until + timedelta(days=1), zone)

    def _steps(self) -> float:
        period = self.period()
        return (period.end - period.start) / period.step.length

    def period(self) -> Period:
        now, zone = timezone.now(), timezone.get_current_timezone()
        step = Step(self.cleaned_data["step"]) if self.cleaned_data.get("step") else None
        if since := self.cleaned_data.get("since"):
            return between(self._start(since), self._end(self.cleaned_data.get("until")), zone, step)  # fmt: skip
        chosen = self.cleaned_data["range"]
        if chosen == WHOLE:
            return between(*self._lifetime(now), zone, step)
        if hours := HOURS.get(chosen):
            return between(now - timedelta(hours=hours), now, zone, step)
        days = last_days(now, DAYS[chosen], zone)
        return Period(days.start, days.end, zone, step or fitting_step(days.start, days.end))

    def _lifetime(self, now: datetime) -> tuple[datetime, datetime]:
        start, end = (self.subject and self.subject.lifetime(now)) or (now - timedelta(days=14), now)  # fmt: skip
        return max(start, end - LONGEST), end

    @property
    def filters(self) -> dict[str, Any]:
        """Return the columns of a count that are filtered by, the subject's own among them."""
        chosen = {
            f"{name}_id": int(self.cleaned_data[name])
            for name in IDS
            if self.cleaned_data.get(name)
        }
        if provider := self.cleaned_data.get("mailbox_provider"):
            chosen["mailbox_provider"] = provider.lower()
        return chosen | (self.subject.choices if self.subject else {})

    @property
    def chosen_reason(self) -> str:
        return str(self.cleaned_data.get("reason", ""))

    @property
    def dimension(self) -> str:
        """Return the column that splits the table."""
        by = self.cleaned_data["by"]
        return str(by) if by == "mailbox_provider" else f"{by}_id"

    def query(self, **changed: str) -> str:
        """Return the query string with some values changed; "" takes one out."""
        left = {name: value for name, value in {**self.given, **changed}.items() if value}
        return f"?{urlencode(left)}"

    @property
    def ranges(self) -> list[tuple[str, str, bool]]:
        """Return the ready-made ranges: words, query string, and whether it is this one."""
        offered = [(WHOLE, "Whole campaign"), *RANGES] if self._has_lifetime else RANGES
        now = "" if self.given.get("since") else self["range"].value()
        return [
            (words, self.query(range=value, since="", until="", step=""), value == now)
            for value, words in offered
        ]

    def narrowed(self, start: datetime, end: datetime) -> str:
        """Return the query string of the same page at another time."""
        return self.query(range="", step="", **moments(start, end))

    @property
    def is_narrowed(self) -> bool:
        """Tell whether one of the filters behind “more” is set."""
        names = (*IDS, "mailbox_provider", "reason", "step")
        return any(self.given.get(name) for name in names)

    @property
    def first_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in ("since", "until", "by")]

    @property
    def more_fields(self) -> list[forms.BoundField]:
        names = ("step", "stream", "transport", "domain", "campaign", "mailbox_provider", "reason")
        return [self[name] for name in names if name in self.fields]

    def export_query(self, **changed: str) -> str:
        """Return the query string of the same numbers as CSV, of any subject."""
        own = {**self.subject.query, "by": str(self["by"].value())} if self.subject else {}
        times: dict[str, str] = {}
        if self.cleaned_data.get("range") == WHOLE and not self.given.get("since"):
            period = self.period()
            times = moments(period.start, period.end)
        return self.query(**{**own, **times, **changed})


def _offer(
    field: forms.Field,
    rows: "QuerySet[Any]",
    *,
    keep: str = "",
    among: "QuerySet[Any] | None" = None,
) -> None:
    """Offer `rows`, and the row whose id is `keep` even if it is not one of them."""
    assert isinstance(field, forms.ChoiceField)
    offered: dict[str, Model] = {str(row.pk): row for row in rows}
    kept = whole_number(keep)
    if among is not None and kept is not None and keep not in offered:
        offered |= {str(row.pk): row for row in among.filter(pk=kept)[:1]}
    field.choices = [("", "Any"), *((key, str(row)) for key, row in offered.items())]


class SearchForm(forms.Form):
    q = forms.CharField(
        label="Search",
        max_length=254,
        required=False,
        widget=forms.SearchInput(
            {"placeholder": "A domain, campaign, template, recipient or message id"}
        ),
    )
