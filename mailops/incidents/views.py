"""The incident pages: the list, one incident, and what one does with it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages as toasts
from django.core.paginator import Paginator
from django.db.models import Model, Q
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from mailops.accounts.meanwhile import mark_of, tell_saved
from mailops.accounts.permissions import Act, needs, user_of
from mailops.campaigns.models import Campaign
from mailops.domains.models import Domain
from mailops.feedback.models import Mailbox
from mailops.incidents import handling
from mailops.incidents.concerning import concerning
from mailops.incidents.evidence import LOOK_BACK, STOPPED
from mailops.incidents.forms import CloseForm, FilterForm, NoteForm, OwnerForm
from mailops.incidents.handling import NotPossible
from mailops.incidents.models import Incident, IncidentQuerySet, Threshold
from mailops.lib.csv_export import stream_csv, wrong_filter
from mailops.lib.first_rows import first_rows
from mailops.lib.htmx import polled_status, render_page
from mailops.outbox.models import Status
from mailops.reports.attention import held_up_by
from mailops.reports.moments import at_times
from mailops.reports.subjects import find_subject
from mailops.transports.models import Stream, Transport

PAGE = 50
# the messages that it leads to: what nothing was told of stays accepted
LISTED = {**STOPPED, Threshold.Measure.SILENT: (Status.ACCEPTED,)}
SHOWN = 10  # on the overview, and on what they concern


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
    form = FilterForm(request.GET)
    if not form.is_valid():
        return wrong_filter()
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
    found = _found(form).order_by("-id")
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
    return render_page(request, "incidents/attention.html", _worst(Q()), fragment="incidents")


@needs(Act.SEE)
def panel(request: HttpRequest, /, **column_and_value: Any) -> HttpResponse:
    """Show the open incidents that concern what a page is about, worst first; nothing where none is."""
    subject = find_subject(column_and_value)
    return render_page(
        request,
        "incidents/of_subject.html",
        {"subject": subject, **_worst(concerning(subject))},
        fragment="incidents",
        status=polled_status(request, goes_on=not subject.is_over),
    )


def _worst(chosen: Q) -> dict[str, Any]:
    """Return the worst of the open incidents that are chosen, and how many more there are."""
    found = Incident.objects.open().filter(chosen).select_related("threshold", "owner")
    shown, more = first_rows(found.worst_first(), SHOWN)
    return {"incidents": shown, "more": more}


@needs(Act.SEE)
def incident_detail(request: HttpRequest, incident_id: int) -> HttpResponse:
    return _detail(request, _load(incident_id))


def _load(incident_id: int) -> Incident:
    incidents = Incident.objects.select_related("threshold", "owner")
    return get_object_or_404(incidents, id=incident_id)


def _detail(request: HttpRequest, incident: Incident, **refused: Form) -> HttpResponse:
    """Show the incident; `refused` is a form that was not filled in well, by the name the page knows it by."""
    subject, stoppable = incident.subject(), incident.stoppable()
    sends = subject is not None and not isinstance(subject, Mailbox)
    to_mend, mend_url = _to_mend(incident, stoppable)
    context = {
        "incident": incident,
        "evidence": incident.evidence,
        "stoppable": stoppable,
        "is_unserved": (is_unserved := _is_unserved(incident)),
        "held_up": held_up_by(stoppable)
        if stoppable and (is_unserved or _stands_still(stoppable))
        else "",
        "still_paused": ""
        if incident.is_open or stoppable is None or not stoppable.is_paused
        else f"{stoppable} is still paused: resume it on its page once what was wrong is mended.",
        "subject_url": _page_of(subject) if subject else "",
        "to_mend": to_mend,
        "mend_url": mend_url,
        "charts_url": _charts_url(incident) if sends else "",
        "message_lists": _message_lists(incident) if subject else [],
        "signatures_url": _signatures_url(incident) if sends else "",
        "timeline": incident.notes.order_by("-id"),
        "notices": incident.notices.select_related("channel", "message")
        .prefetch_related("attempts")
        .order_by("id"),
        "note_form": NoteForm(),
        "close_form": CloseForm(),
        "owner_form": OwnerForm(
            initial={"owner": incident.owner_id, "seen": mark_of(incident.owner_id)}
        ),
        **refused,
    }
    return render_page(
        request,
        "incidents/incident_detail.html",
        context,
        status=422 if refused else 200,
    )


def _stands_still(subject: Stream | Transport) -> bool:
    return subject.is_paused or (isinstance(subject, Transport) and subject.is_broken)


def _to_mend(incident: Incident, stopped: Stream | Transport | None) -> tuple[str, str]:
    """Return what is to be mended, and its page: a silent webhook, what a fault stopped, or the domain it was stopped for."""
    if isinstance(stopped, Transport) and incident.threshold.measure == Threshold.Measure.SILENT:
        return "its webhook", reverse("feedback:webhook-of", args=[stopped.pk])
    if isinstance(stopped, Stream) and stopped.is_stopped_by_domain:
        return str(stopped.domain), _page_of(stopped.domain)
    if stopped is not None and stopped.is_stopped_by_fault:
        return str(stopped), _page_of(stopped)
    return "", ""


def _is_unserved(incident: Incident) -> bool:
    """Tell whether no process sends its mail just now."""
    is_seen = incident.is_open and incident.calm_since_at is None
    return is_seen and incident.threshold.measure == Threshold.Measure.UNSERVED


def _signatures_url(incident: Incident) -> str:
    """Return the address of what servers answered in the window that opened it, and until it was closed."""
    asked = {incident.subject_kind: incident.subject_id, **_times(incident)}
    return f"{reverse('signatures:panel')}?{urlencode(asked)}"


def _message_lists(incident: Incident) -> list[tuple[str, str]]:
    """Return the lists of the messages that it is about: their status in words, and the address."""
    asked: dict[str, Any] = {incident.subject_kind: incident.subject_id}
    if incident.threshold.begins_anew:
        asked |= {f"answered_{name}": at for name, at in _times(incident).items()}
    return [
        (
            Status(status).label.lower(),
            f"{reverse('outbox:list')}?{urlencode({**asked, 'status': status})}",
        )
        for status in LISTED.get(incident.threshold.measure, ())
    ]


def _times(incident: Incident) -> dict[str, str]:
    """Return from when to when its trouble was counted, for an address; one that is open has no end."""
    times = {"since": incident.opened_at - incident.threshold.window, "until": incident.closed_at}
    return {name: at.isoformat() for name, at in times.items() if at}


def _charts_url(incident: Incident) -> str:
    """Return the numbers of what it is about: its window, and as far back as a change may be the cause."""
    report = reverse(f"reports:{incident.subject_kind}", args=[incident.subject_id])
    until = incident.closed_at or timezone.now()
    since = incident.opened_at - incident.threshold.window - LOOK_BACK
    return report + at_times(since, until)


_PAGES: dict[type[Model], str] = {
    Stream: "transports:stream-detail",
    Transport: "transports:detail",
    Campaign: "campaigns:detail",
    Domain: "domains:detail",
    Mailbox: "feedback:mailbox",
}


def _page_of(subject: Model) -> str:
    return reverse(_PAGES[type(subject)], args=[subject.pk])


@dataclass(frozen=True)
class _Button:
    """An act that needs no words: `act` takes the incident, the actor, and what the page `shows` by a hidden field.

    It returns False where it found nothing to change.
    """

    act: Callable[..., bool | None]
    done: str
    shows: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Filled:
    """An act with a form, whose fields are the arguments of `act`; the page knows the form as `key`."""

    act: Callable[..., bool | None]
    form: type[Form]
    key: str
    done: str
    is_typed: bool = True  # its words are shown again where the act is refused


BUTTONS = {
    "acknowledge": _Button(
        handling.acknowledge, "Acknowledged: the others see that you are on it."
    ),
    "pause": _Button(
        handling.pause, "Paused. What is on its way within this second may still leave."
    ),
    "resume": _Button(
        handling.resume,
        "Resumed: mail goes out again. What is not mended stops it once more.",
        shows=("seen",),
    ),
}
FILLED = {
    "assign": _Filled(
        handling.assign, OwnerForm, "owner_form", "The owner is set.", is_typed=False
    ),
    "note": _Filled(handling.add_note, NoteForm, "note_form", "Noted."),
    "close": _Filled(handling.close, CloseForm, "close_form", "Closed."),
}


@needs(Act.OPERATE)
@require_POST
def press(request: HttpRequest, incident_id: int, act: str) -> HttpResponseBase:
    button = BUTTONS[act]
    incident = _load(incident_id)
    shown = {name: request.POST.get(name) for name in button.shows}
    if refusal := _do(request, incident, button, shown):
        toasts.error(request, refusal)
    return redirect("incidents:detail", incident.pk)


@needs(Act.OPERATE)
@require_POST
def fill(request: HttpRequest, incident_id: int, act: str) -> HttpResponseBase:
    incident, filled = _load(incident_id), FILLED[act]
    form = filled.form(request.POST)
    if not form.is_valid():
        return _detail(request, incident, **{filled.key: form})
    if refusal := _do(request, incident, filled, form.cleaned_data):
        if filled.is_typed:
            form.add_error(None, refusal)
            return _detail(request, _load(incident_id), **{filled.key: form})
        toasts.error(request, refusal)
    return redirect("incidents:detail", incident.pk)


def _do(
    request: HttpRequest, incident: Incident, chosen: _Button | _Filled, given: dict[str, Any]
) -> str:
    """Do one act and say that it is done; return why it can't be, or nothing."""
    try:
        is_done = chosen.act(incident=incident, actor=user_of(request), **given)
    except NotPossible as refused:
        return str(refused)
    tell_saved(request, chosen.done, is_changed=is_done is not False)
    return ""
