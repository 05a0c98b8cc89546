"""The pages of signatures: which replies came, and everything about those that mean the same."""

from collections.abc import Iterator
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404

from mailops.accounts.permissions import Act, needs
from mailops.lib.csv_export import stream_csv
from mailops.lib.htmx import render_page
from mailops.outbox.models import EventKind, Message, Signature
from mailops.outbox.sightings import SIGNED
from mailops.reports.composing import openings
from mailops.reports.marks import beside
from mailops.reports.moments import moments
from mailops.reports.periods import Period
from mailops.signatures.forms import SignatureFilterForm
from mailops.signatures.history import history, over_time
from mailops.signatures.listing import Choices, counts_in, lines, ranked, splits, top

PAGE = 50
NEWEST = 10  # messages on a signature's page
CSV_HEADER = [
    "signature", "name", "code", "enhanced_status", "pattern", "replies", "before", "new", "reason", "kind",
    "fault", "owner", "cause", "fix", "first_seen", "last_seen", "example",
]  # fmt: skip


@needs(Act.SEE)
def signature_list(request: HttpRequest) -> HttpResponse:
    form = SignatureFilterForm(request.GET)
    context: dict[str, Any] = {"form": form}
    if not form.is_valid():
        return render_page(request, "signatures/signature_list.html", context, status=422)
    period, choices = form.period(), form.choices
    page = Paginator(_ranked(form, period, choices), PAGE).get_page(request.GET.get("page"))
    context |= {
        "page": page,
        "lines": lines(list(page.object_list), period, choices),
        "period": period,
        "handed_on": form.query(q="", reason=""),
        "campaign": form.cleaned_data["campaign"],
        "domain": form.cleaned_data["domain"],
    }
    return render_page(request, "signatures/signature_list.html", context, fragment="results")


def _ranked(form: SignatureFilterForm, period: Period, choices: Choices) -> list[tuple[int, int]]:
    data = form.cleaned_data
    return ranked(period, choices, text=data["q"], reason=data["reason"])


@needs(Act.SEE)
def signature_export(request: HttpRequest) -> HttpResponseBase:
    form = SignatureFilterForm(request.GET)
    if not form.is_valid():
        return render_page(request, "signatures/signature_list.html", {"form": form}, status=422)
    period, choices = form.period(), form.choices
    ranks = _ranked(form, period, choices)
    return stream_csv("signatures.csv", CSV_HEADER, _csv_rows(ranks, period, choices))


def _csv_rows(
    ranks: list[tuple[int, int]], period: Period, choices: Choices
) -> Iterator[list[object]]:
    for start in range(0, len(ranks), 500):
        for line in lines(ranks[start : start + 500], period, choices):
            one = line.signature
            yield [
                one.pk, one.title, one.code or "", one.enhanced_status, one.pattern, line.n, line.before,
                "yes" if line.is_new else "", one.meant_reason, one.meant_kind, one.meant_fault, one.owner_words,
                one.meant_cause, one.meant_fix, one.first_at.isoformat(), one.last_at.isoformat(), one.example,
            ]  # fmt: skip


@needs(Act.SEE)
def signature_panel(request: HttpRequest) -> HttpResponse:
    """Show the commonest replies of a time and place: a panel for other pages, and a page of its own."""
    form = SignatureFilterForm(request.GET)
    if not form.is_valid():
        return render_page(request, "signatures/signature_panel.html", {"form": form}, status=422)
    period = form.period()
    return render_page(
        request,
        "signatures/signature_panel.html",
        {"form": form, "lines": top(period, form.choices), "query": form.query()},
        fragment="signatures",
    )


@needs(Act.SEE)
def signature_detail(request: HttpRequest, signature_id: int) -> HttpResponse:
    signature = get_object_or_404(Signature, pk=signature_id)
    form = SignatureFilterForm(request.GET)
    context: dict[str, Any] = {"signature": signature, "form": form}
    if not form.is_valid():
        return render_page(request, "signatures/signature_detail.html", context, status=422)
    period, choices = form.period(), form.choices
    found = counts_in(period, choices).filter(signature_id=signature.pk)
    messages = Message.objects.filter(signature_id=signature.pk).order_by("-id")
    around = beside(period, choices)
    opens = openings(period, lambda start, end: form.query(range="", **moments(start, end)))
    context |= {
        "period": period,
        "drawn": history(found, period, around, opens),
        "changes": [(change, "") for change in around.changes],
        "splits": [
            (one, [(place, form.query(**{one.filter_name: place.value})) for place in one.places])
            for one in splits(found)
        ],
        "lessons": signature.lessons.select_related("created_by", "signature").order_by(
            "-revision"
        )[:NEWEST],
        "newest": messages.select_related("stream", "campaign")[:NEWEST],
        "query": form.query(),
        "ranges": form.ranges,
    }
    return render_page(request, "signatures/signature_detail.html", context)


@needs(Act.SEE)
def signature_history(request: HttpRequest, signature_id: int) -> HttpResponseBase:
    """Send how often its replies came over time."""
    signature = get_object_or_404(Signature, pk=signature_id)
    form = SignatureFilterForm(request.GET)
    if not form.is_valid():
        context = {"signature": signature, "form": form}
        return render_page(request, "signatures/signature_detail.html", context, status=422)
    period = form.period()
    found = counts_in(period, form.choices).filter(signature_id=signature.pk)
    kinds = [str(kind) for kind in EventKind if kind in SIGNED]
    rows = (
        [at.astimezone(period.zone).isoformat(), *(numbers.get(kind, 0) for kind in kinds)]
        for at, numbers in over_time(found, period)
    )
    return stream_csv(f"signature-{signature.pk}.csv", ["time", *kinds], rows)
