"""The reports: outcomes over time and their split, as charts, tables and CSV; and the search."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone

from mailops.accounts.permissions import Act, needs
from mailops.lib.csv_export import stream_csv
from mailops.lib.htmx import render_page
from mailops.reports.charting import bounce_chart, complaint_chart, series, total, volume_chart
from mailops.reports.forms import DIMENSIONS, ReportForm, SearchForm
from mailops.reports.marks import marks
from mailops.reports.models import Figure
from mailops.reports.outcomes import Outcome
from mailops.reports.searching import search as find
from mailops.reports.splitting import Share, reasons, split
from mailops.reports.tiles import tiles

COLUMNS = ("accepted", "delivered", "bounced", "returned", "complained", "unsubscribed", "failed")


@needs(Act.SEE)
def reports(request: HttpRequest) -> HttpResponse:
    form = ReportForm(request.GET)
    context: dict[str, Any] = {"form": form}
    if not form.is_valid():
        return render_page(request, "reports/reports.html", context, status=422)
    zone = timezone.get_current_timezone()
    period = form.period(zone)
    figures = Figure.objects.filter(**form.choices)
    points = series(figures, period)
    beside = marks(period, form.choices)
    before = total(figures, period.previous)
    context |= {
        "volume": volume_chart(points, period, beside),
        "bounces": bounce_chart(points, period, beside),
        "complaints": complaint_chart(points, period, beside),
        "tiles": tiles(sum((outcome for _, outcome in points), Outcome()), before),
        "shares": [
            (share, _narrowed(request, share)) for share in split(figures, period, form.dimension)
        ],
        "reasons": reasons(figures, period),
        "dimension": dict(DIMENSIONS)[form.cleaned_data["by"]],
        "period": period,
    }
    return render_page(request, "reports/reports.html", context, fragment="report")


@needs(Act.SEE)
def export(request: HttpRequest) -> HttpResponseBase:
    """Send the numbers over time of the chosen report."""
    form = ReportForm(request.GET)
    if not form.is_valid():
        return render_page(request, "reports/reports.html", {"form": form}, status=422)
    period = form.period(timezone.get_current_timezone())
    points = series(Figure.objects.filter(**form.choices), period)
    rows: Iterator[list[Any]] = (
        [at.astimezone(period.zone).isoformat(), *_cells(outcome)] for at, outcome in points
    )
    return stream_csv("report.csv", ["time", *COLUMNS], rows)


@needs(Act.SEE)
def export_split(request: HttpRequest) -> HttpResponseBase:
    """Send the split of the chosen report."""
    form = ReportForm(request.GET)
    if not form.is_valid():
        return render_page(request, "reports/reports.html", {"form": form}, status=422)
    period = form.period(timezone.get_current_timezone())
    shares = split(Figure.objects.filter(**form.choices), period, form.dimension)
    rows: Iterator[list[Any]] = ([share.label, *_cells(share.outcome)] for share in shares)
    return stream_csv("report-split.csv", [form.cleaned_data["by"], *COLUMNS], rows)


def _narrowed(request: HttpRequest, share: Share) -> str:
    """Return the query string that shows `share` alone."""
    query = request.GET.copy()
    query[share.dimension.removesuffix("_id")] = share.value
    return f"?{query.urlencode()}"


def _cells(outcome: Outcome) -> list[int]:
    return [getattr(outcome, name) for name in COLUMNS]


@needs(Act.SEE)
def search(request: HttpRequest) -> HttpResponse:
    form = SearchForm(request.GET)
    found = find(form.cleaned_data["q"]) if form.is_valid() else []
    return render_page(
        request,
        "reports/search.html",
        {"form": form, "found": found},
        fragment="found",
        status=200 if form.is_valid() else 422,
    )


@needs(Act.SEE)
def search_json(request: HttpRequest) -> HttpResponseBase:
    """Answer the palette."""
    form = SearchForm(request.GET)
    if not form.is_valid():
        return JsonResponse({"results": []}, status=422)
    results = [
        {"label": one.label, "url": one.url, "kind": one.kind}
        for one in find(form.cleaned_data["q"])
        if one.url
    ]
    return JsonResponse({"results": results})
