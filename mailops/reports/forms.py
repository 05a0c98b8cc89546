"""The query strings of the report pages; each filter lives in the address and nowhere else."""

from datetime import date, timedelta, tzinfo
from typing import Any

from django import forms
from django.db.models import Model, QuerySet
from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.domains.models import Domain
from mailops.reports.periods import Period, from_to, last_days, last_hours
from mailops.transports.models import Stream, Transport

LONGEST = 366  # days
CAMPAIGNS = 200  # offered, the newest
RANGES = [
    ("24h", "Last 24 hours"),
    ("7d", "Last 7 days"),
    ("14d", "Last 14 days"),
    ("30d", "Last 30 days"),
    ("90d", "Last 90 days"),
    ("days", "Chosen days"),
]
DIMENSIONS = [
    ("mailbox_provider", "Mailbox provider"),
    ("domain", "Domain"),
    ("stream", "Stream"),
    ("transport", "Transport"),
    ("campaign", "Campaign"),
]
DEFAULT_RANGE, DEFAULT_DIMENSION = "14d", "mailbox_provider"


class ReportForm(forms.Form):
    range = forms.ChoiceField(label="Time", choices=RANGES, required=False)
    first = forms.DateField(
        label="First chosen day",
        required=False,
        widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"),
    )
    last = forms.DateField(
        label="Last chosen day",
        required=False,
        widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"),
    )
    domain = forms.ChoiceField(required=False)
    stream = forms.ChoiceField(required=False)
    transport = forms.ChoiceField(required=False)
    campaign = forms.ChoiceField(required=False)
    mailbox_provider = forms.CharField(label="Mailbox provider", max_length=100, required=False)
    by = forms.ChoiceField(label="Split by", choices=DIMENSIONS, required=False)

    def __init__(self, data: Any) -> None:
        given = {
            "range": DEFAULT_RANGE,
            "by": DEFAULT_DIMENSION,
            **{name: value for name, value in data.items() if value},
        }
        super().__init__(given)
        _offer(self.fields["domain"], Domain.objects.order_by("name"))
        _offer(self.fields["stream"], Stream.objects.order_by("name"))
        _offer(self.fields["transport"], Transport.objects.order_by("name"))
        campaigns = Campaign.objects.order_by("-id").only("id", "name")
        asked = str(given.get("campaign", ""))
        _offer(self.fields["campaign"], campaigns[:CAMPAIGNS], keep=asked, among=campaigns)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        first, last = cleaned.get("first"), cleaned.get("last")
        if cleaned.get("range") == "days" and not self.errors:
            if not first or not last:
                self.add_error("first", "Give the first and the last day.")
            elif last < first:
                self.add_error("last", "The last day lies before the first.")
            elif last - first > timedelta(days=LONGEST) or first < date(2000, 1, 1):
                self.add_error("last", f"Choose at most {LONGEST} days.")
        return cleaned

    def period(self, zone: tzinfo) -> Period:
        now = timezone.now()
        chosen = self.cleaned_data["range"]
        if chosen == "days":
            return from_to(self.cleaned_data["first"], self.cleaned_data["last"], zone)
        if chosen == "24h":
            return last_hours(now, 24, zone)
        return last_days(now, int(chosen.removesuffix("d")), zone)

    @property
    def choices(self) -> dict[str, Any]:
        """Return the chosen columns of a count, with their values."""
        ids = {
            f"{name}_id": int(self.cleaned_data[name])
            for name in ("domain", "stream", "transport", "campaign")
            if self.cleaned_data[name]
        }
        provider = self.cleaned_data["mailbox_provider"]
        return ids | ({"mailbox_provider": provider} if provider else {})

    @property
    def dimension(self) -> str:
        """Return the column that splits the table."""
        by = self.cleaned_data["by"]
        return str(by) if by == "mailbox_provider" else f"{by}_id"


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
    if among is not None and keep.isdecimal() and len(keep) < 19 and keep not in offered:
        offered |= {str(row.pk): row for row in among.filter(pk=int(keep))[:1]}
    field.choices = [("", "All"), *((key, str(row)) for key, row in offered.items())]


class SearchForm(forms.Form):
    q = forms.CharField(
        label="Search",
        max_length=254,
        required=False,
        widget=forms.TextInput(
            {
                "type": "search",
                "placeholder": "A domain, campaign, template, recipient or message id",
            }
        ),
    )
