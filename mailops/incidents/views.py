"""The incident pages: the list, one incident, and what one does with it."""

from collections.abc import Callable

from django.contrib import messages as toasts
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from mailops.accounts.permissions import Act, needs, user_of
from mailops.incidents import handling
from mailops.incidents.forms import CloseForm, FilterForm, NoteForm, OwnerForm
from mailops.incidents.handling import NotPossible
from mailops.incidents.models import Incident, IncidentQuerySet, SubjectKind
from mailops.lib.csv_export import stream_csv
from mailops.lib.htmx import render_page

PAGE = 50


@needs(Act.SEE)
def incident_list(request: HttpRequest) -> HttpResponse:
    form = FilterForm(request.GET)
    page = Paginator(_found(form).worst_first(), PAGE).get_page(request.GET.get("page"))
    return render_page(
        request,
        "incidents/incident_list.html",
        {"form": form, "page": page, "is_filtered": form.has_changed()},
        fragment="results",
        status=200 if form.is_valid() else 422,
    )


@needs(Act.SEE)
def incident_export(request: HttpRequest) -> HttpResponseBase:
    header = [
        "id",
        "opened",
        "closed",
        "state",
        "level",
        "what",
        "about",
        "owner",
        "sentence",
        "close reason",
    ]
    found = _found(FilterForm(request.GET)).order_by("-id")
    rows = (
        (
            one.pk,
            one.opened_at.isoformat(),
            one.closed_at.isoformat() if one.closed_at else "",
            one.state,
            one.level,
            one.threshold.get_measure_display(),
            one.subject_label,
            str(one.owner or ""),
            one.sentence,
            one.close_reason,
        )
        for one in found.iterator(chunk_size=500)
    )
    return stream_csv("incidents.csv", header, rows)


def _found(form: FilterForm) -> IncidentQuerySet:
    found = Incident.objects.select_related("threshold", "owner")
    if not form.is_valid():
        return found.none()
    if state := form.cleaned_data["state"]:
        found = found.filter(state=state)
    if subject := form.cleaned_data["subject"]:
        found = found.filter(subject_kind=subject)
    return found


@needs(Act.SEE)
def attention(request: HttpRequest) -> HttpResponse:
    """Show the open incidents, worst first: a panel for the overview, and a page of its own."""
    found = Incident.objects.open().select_related("threshold", "owner").worst_first()
    return render_page(
        request, "incidents/attention.html", {"incidents": found[:10]}, fragment="incidents"
    )


@needs(Act.SEE)
def incident_detail(request: HttpRequest, incident_id: int) -> HttpResponse:
    return _detail(request, _load(incident_id))


def _load(incident_id: int) -> Incident:
    incidents = Incident.objects.select_related("threshold", "owner")
    return get_object_or_404(incidents, id=incident_id)


def _detail(
    request: HttpRequest,
    incident: Incident,
    *,
    note_form: NoteForm | None = None,
    close_form: CloseForm | None = None,
    owner_form: OwnerForm | None = None,
) -> HttpResponse:
    given = [form for form in (note_form, close_form, owner_form) if form is not None]
    stoppable = incident.stoppable()
    context = {
        "incident": incident,
        "evidence": incident.evidence,
        "stoppable": stoppable,
        "subject_url": _subject_url(incident) if stoppable else "",
        "timeline": incident.notes.order_by("-id"),
        "notices": incident.notices.select_related("channel")
        .prefetch_related("attempts")
        .order_by("id"),
        "note_form": note_form or NoteForm(),
        "close_form": close_form or CloseForm(),
        "owner_form": owner_form or OwnerForm(initial={"owner": incident.owner_id}),
    }
    return render_page(
        request,
        "incidents/incident_detail.html",
        context,
        fragment="incident",
        status=422 if given else 200,
    )


_PAGES = {
    SubjectKind.STREAM: "transports:stream-detail",
    SubjectKind.TRANSPORT: "transports:detail",
    SubjectKind.CAMPAIGN: "campaigns:detail",
}


def _subject_url(incident: Incident) -> str:
    return reverse(_PAGES[SubjectKind(incident.subject_kind)], args=[incident.subject_id])


def _do(
    request: HttpRequest, incident: Incident, done: str, act: Callable[[], None]
) -> HttpResponseBase:
    """Do one act and go back to the incident, saying what came of it."""
    try:
        act()
    except NotPossible as refused:
        toasts.error(request, str(refused))
    else:
        toasts.success(request, done)
    return redirect("incidents:detail", incident.pk)


@needs(Act.OPERATE)
@require_POST
def acknowledge(request: HttpRequest, incident_id: int) -> HttpResponseBase:
    incident, actor = _load(incident_id), user_of(request)
    return _do(
        request,
        incident,
        "Acknowledged: the others see that you are on it.",
        lambda: handling.acknowledge(incident=incident, actor=actor),
    )


@needs(Act.OPERATE)
@require_POST
def pause(request: HttpRequest, incident_id: int) -> HttpResponseBase:
    incident, actor = _load(incident_id), user_of(request)
    return _do(
        request,
        incident,
        "Paused. What is on its way within this second may still leave.",
        lambda: handling.pause(incident=incident, actor=actor),
    )


@needs(Act.OPERATE)
@require_POST
def resume(request: HttpRequest, incident_id: int) -> HttpResponseBase:
    incident, actor = _load(incident_id), user_of(request)
    return _do(
        request,
        incident,
        "Resumed: mail goes out again.",
        lambda: handling.resume(incident=incident, actor=actor),
    )


@needs(Act.OPERATE)
@require_POST
def assign(request: HttpRequest, incident_id: int) -> HttpResponseBase:
    incident, actor, form = _load(incident_id), user_of(request), OwnerForm(request.POST)
    if not form.is_valid():
        return _detail(request, incident, owner_form=form)
    owner = form.cleaned_data["owner"]
    return _do(
        request,
        incident,
        f"{owner or 'Nobody'} owns this incident.",
        lambda: handling.assign(incident=incident, owner=owner, actor=actor),
    )


@needs(Act.OPERATE)
@require_POST
def note(request: HttpRequest, incident_id: int) -> HttpResponseBase:
    incident, actor, form = _load(incident_id), user_of(request), NoteForm(request.POST)
    if not form.is_valid():
        return _detail(request, incident, note_form=form)
    text = form.cleaned_data["text"]
    return _do(
        request,
        incident,
        "Noted.",
        lambda: handling.add_note(incident=incident, text=text, actor=actor),
    )


@needs(Act.OPERATE)
@require_POST
def close(request: HttpRequest, incident_id: int) -> HttpResponseBase:
    incident, actor, form = _load(incident_id), user_of(request), CloseForm(request.POST)
    if not form.is_valid():
        return _detail(request, incident, close_form=form)
    reason = form.cleaned_data["reason"]
    return _do(
        request,
        incident,
        "Closed.",
        lambda: handling.close(incident=incident, reason=reason, actor=actor),
    )
