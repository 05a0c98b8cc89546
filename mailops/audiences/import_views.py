"""Pages of an import: upload, columns, progress, account."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from mailops.accounts.body_sizes import takes_uploads
from mailops.accounts.permissions import Act, needs, user_of
from mailops.audiences.import_forms import (
    MAX_FILE_BYTES,
    MappingForm,
    ReadingForm,
    RemarksForm,
    UploadForm,
)
from mailops.audiences.importing import (
    REMARKS_KEPT,
    WrongState,
    discard_upload,
    start_import,
    stop_import,
)
from mailops.audiences.models import Audience, Import, ImportRemark
from mailops.audiences.tasks import continue_import
from mailops.audiences.uploading import look, misfit_of, refusal_of, take_upload
from mailops.lib.csv_export import by_steps, stream_csv
from mailops.lib.csv_reading import NotReadable
from mailops.lib.htmx import polled_status, render_page

REMARKS_SHOWN = 20
PAGE = 50


@needs(Act.SEE)
def import_list(request: HttpRequest, audience_id: int) -> HttpResponse:
    audience = get_object_or_404(Audience, pk=audience_id)
    imports = audience.imports.select_related("created_by").order_by("-id")
    page = Paginator(imports, PAGE).get_page(request.GET.get("page"))
    context = {"audience": audience, "page": page}
    return render_page(request, "audiences/import_list.html", context)


@takes_uploads(MAX_FILE_BYTES)
@needs(Act.SEND)
def import_upload(request: HttpRequest, audience_id: int) -> HttpResponse:
    audience = get_object_or_404(Audience, pk=audience_id)
    form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
    if form.is_valid():
        try:
            run = take_upload(
                audience=audience, file=form.cleaned_data["file"], actor=user_of(request)
            )
        except NotReadable as error:
            form.add_error("file", str(error))
        else:
            return redirect("audiences:import-map", run.pk)
    context = {
        "audience": audience,
        "form": form,
        "back": reverse("audiences:detail", args=[audience.pk]),
    }
    return render_page(
        request, "audiences/import_form.html", context, status=422 if form.errors else 200
    )


@needs(Act.SEND)
def import_map(request: HttpRequest, run_id: int) -> HttpResponse:
    run = _run(run_id)
    if not run.is_mapping:
        return redirect("audiences:import-detail", run.pk)
    is_pressed = request.method == "POST" and request.POST.get("act") != "look"
    typed = _typed(request, run)
    reading = ReadingForm.of(run, request.POST or request.GET)
    if reading.is_valid():
        reading.apply_to(run)
    header, samples = look(run)
    refusal = refusal_of(header, run)  # another reading, or an upload from before there was a limit
    form = MappingForm(
        request.POST if is_pressed else None, initial=typed, header=header, samples=samples
    )
    if is_pressed and not refusal and reading.is_valid() and form.is_valid():
        return _start(request, run, header, form)
    context = {
        "run": run,
        "same": run.same_before(),
        "reading": reading,
        "form": form,
        "columns": list(form.columns()),
        "refusal": refusal,
        "misfit": misfit_of(run),
        "has_samples": bool(samples),
        "back": reverse("audiences:detail", args=[run.audience_id]),
    }
    return render_page(
        request,
        "audiences/import_map.html",
        context,
        fragment="columns",
        status=422 if refusal or form.errors or reading.errors else 200,
    )


def _typed(request: HttpRequest, run: Import) -> dict[str, str]:
    """Return what was typed over that which the page offered, as it had read the file; `run` is read so then."""
    was = ReadingForm.of(
        run, {name: request.POST.get(f"was_{name}") for name in ReadingForm.base_fields}
    )
    if was.is_valid():
        was.apply_to(run)
    header, samples = look(run)
    return MappingForm(header=header, samples=samples).typed_over(request.POST.dict())


def _start(request: HttpRequest, run: Import, header: list[str], form: MappingForm) -> HttpResponse:
    try:
        start_import(
            run=run,
            header=header,
            mapping=form.cleaned_data["mapping"],
            consent=form.cleaned_data["consent"],
            actor=user_of(request),
        )
    except WrongState as error:
        messages.info(request, str(error))
    transaction.on_commit(lambda: continue_import.delay(run.pk), robust=True)
    return redirect("audiences:import-detail", run.pk)


@needs(Act.SEE)
def import_detail(request: HttpRequest, run_id: int) -> HttpResponse:
    run = _run(run_id)
    context: dict[str, Any] = {
        "run": run,
        "account": [
            ("added", "Added", run.added, "New members of the audience."),
            ("updated", "Updated", run.updated, "Members already; what is known of them changed."),
            ("unchanged", "Unchanged", run.unchanged, "Members already, nothing new."),
            (
                "duplicate",
                "Duplicate",
                run.duplicate,
                "The same person stands earlier in the file.",
            ),
            (
                "suppressed",
                "Suppressed",
                run.suppressed,
                "In the audience, but mail to them stays forbidden.",
            ),
            ("rejected", "Rejected", run.rejected, "Could not be used; the reason stands beside."),
        ],
        "remarks": _first_remarks(run) if run.is_finished else [],
        "kept_days": REMARKS_KEPT.days,
        "remark_count": run.rejected + run.duplicate + run.suppressed,
    }
    status = polled_status(request, goes_on=not run.is_finished)
    return render_page(
        request, "audiences/import_detail.html", context, fragment="progress", status=status
    )


def _first_remarks(run: Import) -> list[ImportRemark]:
    """Return the rows to look at: those that could not be used first."""
    shown: list[ImportRemark] = []
    for outcome in ImportRemark.Outcome:
        rows = run.remarks.filter(outcome=outcome).order_by("line")
        shown += rows[: REMARKS_SHOWN - len(shown)]
    return shown


@needs(Act.SEND)
@require_POST
def import_stop(request: HttpRequest, run_id: int) -> HttpResponse:
    run = _run(run_id)
    try:
        if run.is_mapping or request.POST.get("act") == "discard":
            discard_upload(run=run, actor=user_of(request))
            messages.success(request, f"“{run.file_name}” is thrown away.")
            return redirect("audiences:detail", run.audience_id)
        stop_import(run=run, actor=user_of(request))
    except WrongState as error:
        messages.info(request, str(error))
    return redirect("audiences:import-detail", run.pk)


@needs(Act.SEE)
def import_remarks(request: HttpRequest, run_id: int) -> HttpResponseBase:
    """Download rows as they stand in the file, so that they can be mended and imported again."""
    run = _run(run_id)
    form = RemarksForm(request.GET)
    if not form.is_valid():
        return HttpResponse("Choose rejected, duplicate or suppressed.", status=422)
    outcome = form.cleaned_data["outcome"]
    width = len(run.header)

    def rows() -> Iterator[list[Any]]:
        for remark in by_steps(run.remarks.filter(outcome=outcome), by="line"):
            cells = (remark.cells + [""] * width)[:width]
            yield [*cells, remark.line, remark.reason, *remark.cells[width:]]

    return stream_csv(f"{outcome}-rows.csv", [*run.header, "line", "reason"], rows())


def _run(run_id: int) -> Import:
    return get_object_or_404(
        Import.objects.kept().select_related("audience", "created_by"), pk=run_id
    )
