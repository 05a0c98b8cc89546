"""The numbers of all mail, and of one domain, stream, transport, campaign or mailbox provider: one view for all of them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.permissions import Act, needs
from mailops.campaigns.models import Campaign
from mailops.lib.csv_export import stream_csv
from mailops.lib.htmx import polled_status, render_page
from mailops.lib.templatetags.navigation import resolve
from mailops.reports.balance import balance
from mailops.reports.charts import SHORT, draw
from mailops.reports.comparing import Compared, beside_earlier
from mailops.reports.composing import compose, numbers_of, openings
from mailops.reports.forms import DIMENSIONS, ReportForm
from mailops.reports.gathering import Numbers
from mailops.reports.moments import at_times, moments
from mailops.reports.outcomes import Outcome
from mailops.reports.periods import HOUR, QUARTER, Period, Step, between, last_days
from mailops.reports.splitting import Share, reasons, split
from mailops.reports.subjects import Subject, find_subject, page_of

COLUMNS = (
    "accepted", "delivered", "bounced", "returned", "complained", "unsubscribed", "deferred", "failed",
    "expired", "uncertain",
)  # fmt: skip
PANEL_DAYS = 7


@needs(Act.SEE)
def report(request: HttpRequest, /, **column_and_value: Any) -> HttpResponse:
    subject = find_subject(column_and_value) if column_and_value else None
    form = ReportForm(request.GET, subject)
    context: dict[str, Any] = {"form": form, "subject": subject}
    if not form.is_valid():
        return render_page(request, "reports/reports.html", context, status=422)
    context["beside"] = _beside(subject)
    numbers = _numbers(form)
    context |= _linked(form, compose(numbers, form.filters))
    period = numbers.period
    context |= {
        "shares": _shares(form, period),
        "reasons": [(why, form.query(reason=why.reason)) for why in reasons(numbers)],
        "is_empty": not context["charts"],
        "dimension": dict(DIMENSIONS)[form.cleaned_data["by"]],
        "signatures_url": resolve("signatures:list"),
        "signatures_panel_url": resolve("signatures:panel"),
        "messages_url": _messages(form, period),
        "handed_on": form.export_query(chart="", by="", step="", version=""),
        "earlier": form.narrowed(period.previous.start, period.start),
        "later": form.narrowed(period.next_.start, period.next_.end)
        if period.end <= timezone.now()
        else "",
    }
    return render_page(request, "reports/reports.html", context, fragment="report")


@needs(Act.SEE)
def panel(request: HttpRequest, /, **column_and_value: Any) -> HttpResponse:
    """Show the numbers of the last days on the page of the thing itself."""
    subject = find_subject(column_and_value)
    period = lately(subject)
    composed = compose(
        numbers_of(subject.choices, period), subject.choices, SHORT, standing=_standing(subject)
    )
    composed["axis"]["opens"] = openings(period, lambda *times: subject.url + at_times(*times))
    context = {"subject": subject, "beside": _beside(subject), **composed}
    status = polled_status(request, goes_on=not subject.is_over)
    return render_page(request, "reports/panel.html", context, fragment="numbers", status=status)


def _standing(subject: Subject) -> dict[str, int] | None:
    """Return how many messages of a campaign have each status: its panel is of its whole time."""
    return balance(subject.row).by_status if isinstance(subject.row, Campaign) else None


@needs(Act.SEE)
def export(request: HttpRequest) -> HttpResponseBase:
    """Send the numbers over time of the chosen report, or those of one of its charts."""
    form = ReportForm(request.GET)
    if not form.is_valid():
        return render_page(request, "reports/reports.html", {"form": form}, status=422)
    numbers = _numbers(form)
    if key := form.cleaned_data["chart"]:
        (chart,) = draw(numbers, [key])
        return stream_csv(f"report-{key}.csv", chart.csv_header, chart.csv_rows())
    rows: Iterator[list[Any]] = (
        [at.astimezone(numbers.period.zone).isoformat(), *_cells(outcome)]
        for at, outcome in zip(numbers.steps, numbers.now, strict=True)
    )
    return stream_csv("report.csv", ["time", *COLUMNS], rows)


@needs(Act.SEE)
def export_split(request: HttpRequest) -> HttpResponseBase:
    """Send the split of the chosen report."""
    form = ReportForm(request.GET)
    if not form.is_valid():
        return render_page(request, "reports/reports.html", {"form": form}, status=422)
    shares = split(form.filters, form.period(), form.dimension)
    rows: Iterator[list[Any]] = ([share.label, *_cells(share.outcome)] for share in shares)
    return stream_csv("report-split.csv", [form.cleaned_data["by"], *COLUMNS], rows)


def _beside(subject: Subject | None) -> list[Compared]:
    """Return what a campaign is compared with."""
    return beside_earlier(subject.row) if subject and isinstance(subject.row, Campaign) else []


def lately(subject: Subject) -> Period:
    """Return the whole time of a campaign, the last days of all else."""
    now, zone = timezone.now(), timezone.get_current_timezone()
    if lifetime := subject.lifetime(now):
        return between(*lifetime, zone)
    return last_days(now, PANEL_DAYS, zone, Step.THREE_HOURS)


def _numbers(form: ReportForm) -> Numbers:
    return numbers_of(form.filters, form.period(), reason=form.chosen_reason)


def _linked(form: ReportForm, context: dict[str, Any]) -> dict[str, Any]:
    """Let charts, their points and what changed lead on."""
    period: Period = context["period"]
    context["charts"] = [
        replace(chart, csv_url=reverse("reports:export") + form.export_query(chart=chart.key))
        for chart in context["charts"]
    ]
    is_finest = period.step == QUARTER and len(period.edges) == 2
    context["axis"]["opens"] = [] if is_finest else openings(period, form.narrowed)
    context["changes"] = [
        (change, form.narrowed(change.at - HOUR.length, change.at + 2 * HOUR.length))
        for change, _ in context["changes"]
    ]
    return context


def _shares(form: ReportForm, period: Period) -> list[tuple[Share, str]]:
    """Return the split, each with the address that shows it alone."""
    shares = split(form.filters, period, form.dimension)
    return [(share, _alone(form, share)) for share in shares]


def _messages(form: ReportForm, period: Period) -> str:
    """Return the list of the messages that the report speaks of; a message's page tells its version, no list does."""
    chosen = {name.removesuffix("_id"): value for name, value in form.filters.items()}
    times = {f"answered_{name}": at for name, at in moments(period.start, period.end).items()}
    reason = {"reason": form.chosen_reason} if form.chosen_reason else {}
    chosen.pop("version", None)
    return f"{reverse('outbox:list')}?{urlencode({**chosen, **reason, **times})}"


def _alone(form: ReportForm, share: Share) -> str:
    """Return the page of a share's own numbers, of the same time; of a page about something already, a filter of it."""
    name = share.dimension.removesuffix("_id")
    if form.subject is None and (page := page_of(share.dimension, share.value)):
        return page + form.query(by="", **{name: ""})
    return form.query(by="", **{name: share.value})


def _cells(outcome: Outcome) -> list[int]:
    return [getattr(outcome, name) for name in COLUMNS]
