"""The pages of streams: list, detail, form, pause."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.meanwhile import (
    ChangedMeanwhile,
    Meanwhile,
    first_come,
    last_done,
    meanwhile,
    tell_saved,
    typed_by_one_who_saw,
)
from mailops.accounts.models import User
from mailops.accounts.permissions import Act, needs, user_of
from mailops.domains.models import Domain
from mailops.lib.confirm import ConfirmForm
from mailops.lib.csv_export import stream_csv, wrong_filter
from mailops.lib.htmx import render_page
from mailops.transports.alignment import crossings_of
from mailops.transports.configuring import change_stream_hours, delete_stream, save_stream
from mailops.transports.durations import show_duration, show_durations
from mailops.transports.forms.hours import HoursForm, hours_told
from mailops.transports.forms.streams import StreamFilterForm, StreamForm
from mailops.transports.models import PATIENCE, Stream, Transport
from mailops.transports.models.stream import StreamQuerySet
from mailops.transports.views.pausing import pause, resume

PAGE = 50


def _filtered(form: StreamFilterForm) -> StreamQuerySet:
    streams = Stream.objects.broken_first().select_related("domain", "owner")
    return form.apply(streams) if form.is_valid() else streams


@needs(Act.SEE)
def stream_list(request: HttpRequest) -> HttpResponse:
    form = StreamFilterForm(request.GET)
    streams = _filtered(form).prefetch_related("routes__transport")
    page = Paginator(streams, PAGE).get_page(request.GET.get("page"))
    context = {"filter_form": form, "page": page, "any": Stream.objects.exists()}
    status = 200 if form.is_valid() else 422
    return render_page(
        request, "transports/stream_list.html", context, fragment="results", status=status
    )


@needs(Act.SEE)
def stream_export(request: HttpRequest) -> HttpResponseBase:
    form = StreamFilterForm(request.GET)
    if not form.is_valid():
        return wrong_filter()
    rows = (
        (s.name, s.kind, s.domain, s.owner or "", s.state, s.guarantee)
        for s in _filtered(form).iterator()
    )
    header = ["stream", "kind", "domain", "owner", "state", "guarantee"]
    return stream_csv("streams.csv", header, rows)


@needs(Act.SEE)
def stream_detail(request: HttpRequest, stream_id: int) -> HttpResponse:
    stream = get_object_or_404(Stream.objects.select_related("domain", "owner"), pk=stream_id)
    context = {
        "stream": stream,
        "routes": stream.routes.select_related("transport", "stream").order_by("position"),
        "backoff": show_durations(stream.backoff_seconds),
        "expiry": show_duration(stream.expiry_seconds),
        "rows": crossings_of(stream.domain, [stream]),
    }
    return render_page(request, "transports/stream_detail.html", context)


@needs(Act.CONFIGURE)
def stream_add(request: HttpRequest) -> HttpResponse:
    kind = request.GET.get("kind", "")
    preset = kind if kind in PATIENCE else Stream.Kind.BULK
    form = StreamForm(request.POST or None, instance=Stream.preset(preset))
    if request.method == "POST" and form.is_valid() and _is_saved(form, user_of(request)):
        messages.success(request, f"{form.instance} was added.")
        return redirect("transports:stream-detail", form.instance.pk)
    context = {
        "form": form,
        "preset": preset,
        "presets": PATIENCE,
        "has_domain": Domain.objects.exists(),
        "has_transport": Transport.objects.exists(),
    }
    status = 422 if form.is_bound else 200
    return render_page(request, "transports/stream_form.html", context, status=status)


@needs(Act.CONFIGURE)
def stream_edit(request: HttpRequest, stream_id: int) -> HttpResponse:
    stream = _stream(stream_id)
    name = stream.name
    form = StreamForm(request.POST or None, instance=stream)
    if request.method == "POST" and form.is_valid():
        try:
            is_changed = _is_saved(form, user_of(request))
        except ChangedMeanwhile:
            return _conflict(request, _stream(stream_id))
        if not form.errors:
            tell_saved(request, f"{form.instance} was saved.", is_changed=is_changed)
            return redirect("transports:stream-detail", stream_id)
    return _edit(request, form, name, None)


def _conflict(request: HttpRequest, stream: Stream) -> HttpResponse:
    """Show the stream as it is by now beside what was typed; whoever saves again has seen it."""
    again = StreamForm(typed_by_one_who_saw(stream.mark, request.POST), instance=stream)
    told = meanwhile(again, last_done("stream.change", stream))
    return _edit(request, again, stream.name, told)


def _edit(
    request: HttpRequest, form: StreamForm, name: str, told: Meanwhile | None
) -> HttpResponse:
    context = {"form": form, "stream": form.instance, "name": name, "meanwhile": told}
    context |= {"has_domain": True, "has_transport": True}
    status = 422 if form.is_bound else 200
    return render_page(request, "transports/stream_form.html", context, status=status)


def _stream(stream_id: int) -> Stream:
    return get_object_or_404(Stream.objects.select_related("domain"), pk=stream_id)


def _is_saved(form: StreamForm, actor: User) -> bool:
    """Save the form's stream and return whether that changed anything; where something holds it as it is, say so at the field."""
    try:
        with first_come(form):
            return save_stream(
                stream=form.instance,
                transports=form.transports,
                weights=form.weights,
                actor=actor,
                seen=form.seen,
            )
    except ValidationError as error:
        form.add_error(None, error)
    return False


@needs(Act.CONFIGURE)
def stream_hours(request: HttpRequest, stream_id: int) -> HttpResponse:
    stream = _stream(stream_id)
    if not stream.is_bulk:
        messages.info(request, "Somebody waits for transactional mail: it leaves at any hour.")
        return redirect("transports:stream-detail", stream_id)
    shown = {**HoursForm.initial_of(stream), "revision": stream.hours_mark}
    form = HoursForm(request.POST or None, initial=shown)
    if form.is_valid():
        seen = form.cleaned_data["revision"] or None
        try:
            is_changed = change_stream_hours(
                stream=stream, hours=form.hours, actor=user_of(request), seen=seen
            )
        except ChangedMeanwhile:
            return _hours_conflict(request, _stream(stream_id))
        said = (
            "Saved. Campaigns keep these hours that start from now on and have none of their own."
        )
        tell_saved(request, said, is_changed=is_changed)
        return redirect("transports:stream-detail", stream_id)
    return _hours(request, stream, form, None)


def _hours_conflict(request: HttpRequest, stream: Stream) -> HttpResponse:
    """Show the hours as they are by now beside what was typed; whoever saves again has seen them."""
    typed = request.POST.copy()
    typed["revision"] = stream.hours_mark
    facts = hours_told(stream.hours_in_words, stream.zone_name)
    told = Meanwhile(facts, last_done("stream.hours", stream))
    return _hours(request, stream, HoursForm(typed), told)


def _hours(
    request: HttpRequest, stream: Stream, form: HoursForm, told: Meanwhile | None
) -> HttpResponse:
    context = {"form": form, "stream": stream, "meanwhile": told}
    status = 422 if form.is_bound else 200
    return render_page(request, "transports/stream_hours.html", context, status=status)


@needs(Act.CONFIGURE)
def stream_delete(request: HttpRequest, stream_id: int) -> HttpResponse:
    stream = get_object_or_404(Stream.objects.select_related("domain"), pk=stream_id)
    form = ConfirmForm(request.POST or None, name=stream.name)
    if request.method == "POST" and form.is_valid():
        try:
            delete_stream(stream=stream, actor=user_of(request))
        except ProtectedError:
            messages.error(
                request,
                f"Mail, campaigns, suppressed addresses, alerts or the weekly digest belong to {stream.name}, so it stays: pause it instead.",
            )
            return redirect("transports:stream-detail", stream_id)
        messages.success(request, f"{stream.name} was deleted.")
        return redirect("transports:streams")
    context = {"form": form, "stream": stream}
    status = 422 if request.method == "POST" else 200
    return render_page(request, "transports/stream_confirm_delete.html", context, status=status)


@needs(Act.OPERATE)
def stream_pause(request: HttpRequest, stream_id: int) -> HttpResponse:
    stream = get_object_or_404(Stream, pk=stream_id)
    return pause(
        request,
        stream,
        template="transports/stream_pause.html",
        back="transports:stream-detail",
        stream=stream,
    )


@needs(Act.OPERATE)
@require_POST
def stream_resume(request: HttpRequest, stream_id: int) -> HttpResponse:
    stream = get_object_or_404(Stream, pk=stream_id)
    return resume(request, stream, back="transports:stream-detail")
