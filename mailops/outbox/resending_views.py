"""The pages of sending again what a filter chose: the numbers first, then the press, then how far it is."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from django.contrib import messages as toasts
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.permissions import Act, confirm_password, needs, user_of
from mailops.lib.htmx import polled_status, render_page
from mailops.outbox.doubtful_forms import DoubtFilterForm
from mailops.outbox.forms import MessageFilterForm, PressedForm, words_of
from mailops.outbox.models import Resending
from mailops.outbox.resending import NothingToResend, plan, start_resending, stop_resending
from mailops.outbox.tasks import continue_resending


class ResendForm(PressedForm, MessageFilterForm):
    """Which messages to send again: those of the message list's filter."""

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if not self.given:
            self.add_error(
                None, "Choose which messages: by a signature, a campaign, a stream or a status."
            )
        return data


@needs(Act.SEND)
@confirm_password
def resend(request: HttpRequest) -> HttpResponse:
    """Show what would be sent again, with its numbers; queue exactly those on POST."""
    is_pressed = request.method == "POST"
    form = ResendForm(request.POST or request.GET, is_pressed=is_pressed)
    if form.is_valid() and is_pressed:
        try:
            run = start_resending(
                key=form.cleaned_data["key"],
                chosen=form.given,
                until=form.cleaned_data["until"],
                words=words_of(form.cleaned_data),
                actor=user_of(request),
            )
        except NothingToResend as nothing:
            toasts.info(request, str(nothing))
            return redirect("outbox:list")
        return lead_to(run)
    # an old preview is shown anew, with what was chosen
    filters = MessageFilterForm(form.given)
    is_shown = filters.is_valid() and bool(form.given)
    return render_page(
        request,
        "outbox/resend.html",
        {
            "form": form,
            "plan": plan(filters.cleaned_data) if is_shown else None,
            "chosen": words_of(filters.cleaned_data) if is_shown else [],
            "doubts": urlencode(_doubts(form.given)),
            "key": uuid4(),
        },
        status=422 if form.errors else 200,
    )


def _doubts(given: Mapping[str, str]) -> dict[str, str]:
    """Return what of a filter of messages can be asked of the uncertain ones, too."""
    return {name: given[name] for name in DoubtFilterForm.CHOSEN_BY if name in given}


def lead_to(run: Resending) -> HttpResponse:
    """Have it worked off once it is committed, and lead to the page that tells how far it is."""
    transaction.on_commit(partial(continue_resending.delay, run.pk), robust=True)
    return redirect("outbox:resending", run.pk)


@needs(Act.SEE)
def resending_detail(request: HttpRequest, resending_id: int) -> HttpResponse:
    related = Resending.objects.select_related("created_by", "campaign")
    run = get_object_or_404(related, pk=resending_id)
    filters = MessageFilterForm(run.chosen)
    return render_page(
        request,
        "outbox/resending_detail.html",
        {"run": run, "chosen": words_of(filters.cleaned_data) if filters.is_valid() else []},
        fragment="progress",
        status=polled_status(request, goes_on=run.is_running),
    )


@require_POST
@needs(Act.SEND)
def resending_stop(request: HttpRequest, resending_id: int) -> HttpResponse:
    run = get_object_or_404(Resending, pk=resending_id)
    if stop_resending(run=run, actor=user_of(request)):
        toasts.success(request, "Stopped. What was not queued yet stays as it is.")
    else:
        toasts.info(request, "It was over already.")
    return redirect("outbox:resending", run.pk)
