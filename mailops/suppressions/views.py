"""The suppression pages: the list, adding, removing, imports and their account."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib import messages as toasts
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.body_sizes import takes_uploads
from mailops.accounts.meanwhile import ChangedMeanwhile, typed_by_one_who_saw
from mailops.accounts.permissions import Act, needs, user_of
from mailops.lib.csv_export import by_steps, stream_csv, wrong_filter
from mailops.lib.csv_reading import NotReadable
from mailops.lib.htmx import polled_status, render_page
from mailops.suppressions.forms import (
    FILE_LIMIT,
    AddForm,
    FilterForm,
    ImportForm,
    OutcomeForm,
    RemoveForm,
)
from mailops.suppressions.importing import start_import, stop_import
from mailops.suppressions.models import (
    ImportedRow,
    Suppression,
    SuppressionImport,
    SuppressionQuerySet,
    TakingBack,
)
from mailops.suppressions.suppressing import suppress, unsuppress
from mailops.suppressions.tasks import continue_suppression_import

PAGE = 50
IMPORTS = 10


@needs(Act.SEE)
def suppression_list(request: HttpRequest) -> HttpResponse:
    form = FilterForm(request.GET)
    page = Paginator(_found(form).order_by("-id"), PAGE).get_page(request.GET.get("page"))
    return render_page(
        request,
        "suppressions/suppression_list.html",
        {"form": form, "page": page, "is_filtered": form.has_changed()},
        fragment="results",
        status=200 if form.is_valid() else 422,
    )


@needs(Act.SEE)
def suppression_export(request: HttpRequest) -> HttpResponseBase:
    form = FilterForm(request.GET)
    if not form.is_valid():
        return wrong_filter()
    header = ["address", "stream", "reason", "note", "since", "until", "by"]
    return stream_csv("suppressions.csv", header, _exported(_found(form)))


def _found(form: FilterForm) -> SuppressionQuerySet:
    found = Suppression.objects.select_related("stream")
    if not form.is_valid():
        return found.none()
    asked = form.cleaned_data
    found = found.about(asked["q"]) if asked["expired"] else found.active().about(asked["q"])
    if asked["reason"]:
        found = found.filter(reason=asked["reason"])
    if asked["stream"]:
        found = found.filter(stream=None if asked["stream"] == "all" else asked["stream"])
    return found


def _exported(found: SuppressionQuerySet) -> Iterator[tuple[Any, ...]]:
    for entry in by_steps(found):
        yield (
            entry.address,
            entry.scope,
            entry.reason,
            entry.evidence_text,
            entry.created_at.isoformat(),
            entry.expires_at.isoformat() if entry.expires_at else "",
            entry.created_by,
        )


@needs(Act.SEND)
def suppression_add(request: HttpRequest) -> HttpResponseBase:
    form = AddForm(request.POST or None, initial={"address": request.GET.get("address", "")})
    if request.method == "POST" and form.is_valid():
        entry = suppress(actor=user_of(request), **form.cleaned_data)
        toasts.success(
            request, f"Nothing is sent to {entry.address} any more: {entry.scope.lower()}."
        )
        return redirect("suppressions:list")
    return render_page(
        request,
        "suppressions/suppression_form.html",
        {"form": form},
        status=422 if form.is_bound else 200,
    )


@needs(Act.SEND)
def suppression_remove(request: HttpRequest, suppression_id: int) -> HttpResponseBase:
    entry = get_object_or_404(Suppression.objects.select_related("stream"), id=suppression_id)
    form = RemoveForm(request.POST or None, initial={"seen": entry.mark})
    if request.method == "POST" and form.is_valid():
        try:
            unsuppress(suppression=entry, actor=user_of(request), **form.cleaned_data)
        except ChangedMeanwhile:
            entry.refresh_from_db()
            form = RemoveForm(typed_by_one_who_saw(entry.mark, request.POST))
            form.add_error(
                None,
                "Nothing was removed: this entry changed since you looked. Read it as it is now, then press again.",
            )
        else:
            toasts.success(request, _told_of_removal(entry))
            return redirect("suppressions:list")
    return render_page(
        request,
        "suppressions/suppression_confirm_delete.html",
        {"entry": entry, "form": form, "effects": _effects_of_removal(entry)},
        status=422 if form.is_bound else 200,
    )


def _others(entry: Suppression) -> list[Suppression]:
    """Return what stops mail to the same address beside `entry`, in all streams first."""
    others = Suppression.objects.active().filter(address_key=entry.address_key)
    others = others.exclude(pk=entry.pk).select_related("stream")
    return list(others.order_by(F("stream__name").asc(nulls_first=True)))


def _told_of_removal(entry: Suppression) -> str:
    """Say where the address may be written to without `entry`, and where it may not for all that."""
    others = _others(entry)
    if others and others[0].stream is None:
        reason = others[0].get_reason_display().lower()
        return f"Mail still doesn't go to {entry.address}: it is suppressed in all streams, too ({reason})."
    where = f"in stream {entry.stream}" if entry.stream else "in all streams"
    if entry.stream is None and others:
        where += f" but {', '.join(other.scope for other in others)}"
    return f"Mail may go to {entry.address} again {where}."


def _effects_of_removal(entry: Suppression) -> list[str]:
    effects = [_told_of_removal(entry)]
    if entry.was_asked_for:
        effects.append(
            f"They asked for no more mail ({entry.get_reason_display().lower()}). "
            "Your name and reason stand on the audit trail."
        )
    return effects


@takes_uploads(FILE_LIMIT)
@needs(Act.SEND)
def import_new(request: HttpRequest) -> HttpResponseBase:
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            run = start_import(
                file=given["file"].file,
                file_name=given["file"].name or "unnamed",
                stream=given["stream"],
                reason=given["reason"],
                actor=user_of(request),
            )
        except NotReadable as error:
            form.add_error("file", str(error))
        else:
            # a hint; the tick finds the import should it be lost
            transaction.on_commit(lambda: continue_suppression_import.delay(run.pk), robust=True)
            return redirect("suppressions:import", run.pk)
    imports = SuppressionImport.objects.select_related("stream", "created_by").order_by("-id")
    page = Paginator(imports, IMPORTS).get_page(request.GET.get("page"))
    return render_page(
        request,
        "suppressions/import_form.html",
        {"form": form, "page": page},
        status=422 if form.is_bound else 200,
    )


@needs(Act.SEE)
def import_detail(request: HttpRequest, run_id: int) -> HttpResponse:
    run = get_object_or_404(
        SuppressionImport.objects.select_related("stream", "created_by"), id=run_id
    )
    form = OutcomeForm(request.GET)
    rows = run.rows.select_related("stream").order_by("id")
    if form.is_valid() and form.cleaned_data["outcome"]:
        rows = rows.filter(outcome=form.cleaned_data["outcome"])
    is_poll = _is_poll(request)
    kept_days = settings.MAILOPS_SUPPRESSION_IMPORT_DAYS
    context = {
        "run": run,
        "taking": TakingBack.objects.select_related("created_by").filter(run=run).first(),
        "same": None if is_poll else run.same_before(),
        "form": form,
        "nothing_here": f"No row of the file came out so, as far as it is worked off. Rows are kept for {kept_days} days.",
        "page": None if is_poll else Paginator(rows, PAGE).get_page(request.GET.get("page")),
        "numbers": [
            (word, value, run.numbers[value])
            for value, word in ImportedRow.Outcome.choices
            if value in run.numbers
        ],
    }
    status = polled_status(request, goes_on=run.is_running or not is_poll)
    response = render_page(
        request,
        "suppressions/import_detail.html",
        context,
        fragment="progress" if is_poll else "rows",
        status=status if form.is_valid() else 422,
    )
    if is_poll and not run.is_running:
        response["HX-Trigger"] = "import-ended"  # the rows below come once more
    return response


@needs(Act.SEND)
@require_POST
def import_stop(request: HttpRequest, run_id: int) -> HttpResponse:
    run = get_object_or_404(SuppressionImport, id=run_id)
    if not stop_import(run=run, actor=user_of(request)):
        run.refresh_from_db()
        toasts.info(request, f"“{run}” is {run.get_state_display().lower()} already.")
    return redirect("suppressions:import", run.pk)


def _is_poll(request: HttpRequest) -> bool:
    return request.headers.get("HX-Target") == "progress"


@needs(Act.SEE)
def import_export(request: HttpRequest, run_id: int) -> HttpResponseBase:
    run = get_object_or_404(SuppressionImport, id=run_id)
    form = OutcomeForm(request.GET)
    if not form.is_valid():
        return wrong_filter()
    rows = run.rows.select_related("stream")
    if form.cleaned_data["outcome"]:
        rows = rows.filter(outcome=form.cleaned_data["outcome"])
    header = ["line", "address", "stream", "outcome", "why"]
    return stream_csv(
        f"suppression-import-{run.pk}.csv",
        header,
        ((row.line, row.address, row.scope, row.outcome, row.why) for row in by_steps(rows)),
    )
