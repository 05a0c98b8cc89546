"""The page on which an import of suppressions is taken back: what that does, then how far it is."""

from functools import partial

from django.conf import settings
from django.contrib import messages as toasts
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.permissions import Act, needs, user_of
from mailops.lib.htmx import polled_status, render_page
from mailops.suppressions.forms import TakeBackForm
from mailops.suppressions.models import SuppressionImport, TakingBack
from mailops.suppressions.taking_back import plan, start_taking_back, stop_taking_back
from mailops.suppressions.tasks import continue_taking_back


@needs(Act.SEND)
def take_back(request: HttpRequest, run_id: int) -> HttpResponseBase:
    run = get_object_or_404(SuppressionImport, id=run_id)
    form = TakeBackForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if start_taking_back(run=run, reason=form.cleaned_data["reason"], actor=user_of(request)):
            # a hint; the tick finds it should it be lost
            transaction.on_commit(partial(continue_taking_back.delay, run.pk), robust=True)
        else:
            toasts.info(request, "Nothing was begun: this page says how things are.")
        return redirect("suppressions:take-back", run.pk)
    taking = TakingBack.objects.select_related("created_by").filter(run=run).first()
    is_running = taking is not None and taking.is_running
    return render_page(
        request,
        "suppressions/import_take_back.html",
        {
            "run": run,
            "taking": taking,
            "plan": None if is_running else plan(run),
            "form": form,
            "kept_days": settings.MAILOPS_SUPPRESSION_IMPORT_DAYS,
        },
        fragment="progress",
        status=422 if form.is_bound else polled_status(request, goes_on=is_running),
    )


@needs(Act.SEND)
@require_POST
def take_back_stop(request: HttpRequest, run_id: int) -> HttpResponse:
    run = get_object_or_404(SuppressionImport, id=run_id)
    if not stop_taking_back(run=run, actor=user_of(request)):
        toasts.info(request, "It was over already.")
    return redirect("suppressions:take-back", run.pk)
