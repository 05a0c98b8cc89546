"""What streams promise: all of them, one on its stream's page, and the form."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from mailops.accounts.meanwhile import (
    ChangedMeanwhile,
    Meanwhile,
    last_done,
    tell_saved,
    typed_by_one_who_saw,
)
from mailops.accounts.permissions import Act, needs, user_of
from mailops.lib.htmx import render_page
from mailops.reports.models import Objective
from mailops.reports.objective_forms import ObjectiveForm
from mailops.reports.objectives import mark_of_promise, objective_of, promise, standing, take_back
from mailops.transports.models import Stream


@needs(Act.SEE)
def objectives(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    known = Objective.objects.select_related("stream").order_by("stream__name")
    context = {
        "standings": [standing(one, now) for one in known],
        "others": Stream.objects.exclude(pk__in=known.values("pk")).order_by("name"),
    }
    return render_page(request, "reports/objective_list.html", context)


@needs(Act.SEE)
def objective_panel(request: HttpRequest, stream_id: int) -> HttpResponse:
    stream = get_object_or_404(Stream, pk=stream_id)
    objective = objective_of(stream.pk)
    context = {
        "stream": stream,
        "standing": standing(objective, timezone.now()) if objective else None,
    }
    return render_page(request, "reports/objective_panel.html", context, fragment="objective")


@needs(Act.CONFIGURE)
def objective_form(request: HttpRequest, stream_id: int) -> HttpResponse:
    stream = get_object_or_404(Stream, pk=stream_id)
    objective = objective_of(stream.pk)
    seen = mark_of_promise(objective)
    form = ObjectiveForm(request.POST or None, instance=objective, initial={"seen": seen})
    if request.method == "POST" and "remove" in request.POST:
        try:
            was_promised = take_back(
                stream=stream, actor=user_of(request), seen=request.POST.get("seen")
            )
        except ChangedMeanwhile:
            return _conflict(request, stream)
        if was_promised:
            messages.success(request, f"{stream} promises nothing any more.")
        return redirect("transports:stream-detail", stream.pk)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            kept = promise(
                stream=stream,
                percent=given["percent"],
                seconds=given["seconds"],
                actor=user_of(request),
                seen=given["seen"],
            )
        except ChangedMeanwhile:
            return _conflict(request, stream)
        is_changed = mark_of_promise(kept) != seen
        tell_saved(request, f"{stream} promises: {kept}.", is_changed=is_changed)
        return redirect("transports:stream-detail", stream.pk)
    return _form(request, stream, form, objective)


def _conflict(request: HttpRequest, stream: Stream) -> HttpResponse:
    """Show what is promised by now beside what was typed; whoever saves again has seen it."""
    objective = objective_of(stream.pk)
    typed = typed_by_one_who_saw(mark_of_promise(objective), request.POST)
    again = ObjectiveForm(typed, instance=objective)
    facts = [("It promises", str(objective) if objective else "nothing")]
    entry = last_done("objective.set" if objective else "objective.remove", stream)
    return _form(request, stream, again, objective, Meanwhile(facts, entry))


def _form(
    request: HttpRequest,
    stream: Stream,
    form: ObjectiveForm,
    objective: Objective | None,
    told: Meanwhile | None = None,
) -> HttpResponse:
    context = {"stream": stream, "form": form, "objective": objective, "meanwhile": told}
    status = 422 if form.errors or told else 200
    return render_page(request, "reports/objective_form.html", context, status=status)
