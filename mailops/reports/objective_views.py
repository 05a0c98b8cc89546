"""What streams promise: all of them, one on its stream's page, and the form."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from mailops.accounts.permissions import Act, needs, user_of
from mailops.lib.htmx import render_page
from mailops.reports.models import Objective
from mailops.reports.objective_forms import ObjectiveForm
from mailops.reports.objectives import objective_of, promise, standing, take_back
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
    form = ObjectiveForm(request.POST or None, instance=objective)
    if request.method == "POST" and "remove" in request.POST:
        if take_back(stream=stream, actor=user_of(request)):
            messages.success(request, f"{stream} promises nothing any more.")
        return redirect("transports:stream-detail", stream.pk)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        kept = promise(
            stream=stream,
            percent=given["percent"],
            seconds=given["seconds"],
            actor=user_of(request),
        )
        messages.success(request, f"{stream} promises: {kept}.")
        return redirect("transports:stream-detail", stream.pk)
    return render_page(
        request,
        "reports/objective_form.html",
        {"stream": stream, "form": form, "objective": objective},
        status=422 if form.errors else 200,
    )
