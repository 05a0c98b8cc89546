"""What the ledger adds to a campaign's page: resume, cancel, retry, and its failures grouped by reply."""

from uuid import uuid4

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from mailops.accounts.permissions import Act, confirm_password, needs, user_of
from mailops.campaigns.models import Campaign
from mailops.lib.confirm import ConfirmForm
from mailops.lib.htmx import polled_status, render_page
from mailops.outbox.canceling import cancel_campaign
from mailops.outbox.doubtful import moment
from mailops.outbox.failures import GROUPED, group_failures
from mailops.outbox.forms import RetryForm
from mailops.outbox.models import ASKS_A_PERSON, QueueEntry, Resending, Status
from mailops.outbox.resending import start_retry
from mailops.outbox.resending_views import lead_to
from mailops.outbox.resuming import resume_campaign
from mailops.outbox.retrying import (
    CHUNK,
    MoreThanCounted,
    NothingToRetry,
    plan_retry,
    retry_campaign,
    status_to_begin_with,
    unchanged_since,
)
from mailops.transports.models import PausedAnew


@needs(Act.OPERATE)
@require_POST
def campaign_resume(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    try:
        is_resumed = resume_campaign(
            campaign=campaign, actor=user_of(request), seen=request.POST.get("seen")
        )
    except PausedAnew as other:
        toasts.warning(request, str(other))
        return redirect("campaigns:detail", campaign_id)
    if is_resumed:
        toasts.success(request, f"“{campaign}” runs again.")
    elif campaign.may_be_launched:
        toasts.info(request, f"“{campaign}” has not started yet: launch it.")
    else:
        toasts.info(request, f"“{campaign}” is not paused.")
    return redirect("campaigns:detail", campaign_id)


@needs(Act.SEND)
def campaign_cancel(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    if not campaign.may_be_canceled:
        state = campaign.get_state_display().lower()
        toasts.info(request, f"“{campaign}” is {state} already.")
        return redirect("campaigns:detail", campaign_id)
    form = ConfirmForm(request.POST or None, name=campaign.name)
    if request.method == "POST" and form.is_valid():
        if cancel_campaign(campaign=campaign, actor=user_of(request)):
            toasts.success(request, "Canceled. What had not left stays here.")
        else:
            toasts.error(request, "It is completed or canceled already.")
        return redirect("campaigns:detail", campaign_id)
    return render_page(
        request,
        "outbox/campaign_cancel.html",
        {"campaign": campaign, "form": form, "effects": _effects_of_canceling(campaign)},
        status=422 if form.errors else 200,
    )


def _effects_of_canceling(campaign: Campaign) -> list[str]:
    if not campaign.has_messages:
        return [
            "Nothing of it was sent, and nothing will be. To launch it after all, duplicate it."
        ]
    entries = QueueEntry.objects.filter(campaign=campaign)
    asking = entries.filter(ASKS_A_PERSON).count()
    waiting = entries.count() - asking
    said = [f"{_messages(waiting, 'has', 'have')} not left and will not be sent."]
    if campaign.expanded_at is None:
        said.append("Its audience is not read to the end: nobody in the rest of it gets it.")
    if asking:
        one, many = (
            "is in doubt, and stays so until it is settled.",
            "are in doubt, and stay so until they are settled.",
        )
        said.append(_messages(asking, one, many))
    if Resending.objects.retrying(campaign).exists():
        said.append("Sending again stops: what is not queued yet stays as it is.")
    return [
        *said,
        "What is being sent at this moment still goes out: at most one message for each open session.",
        "It can't be resumed; of its unsent messages you can send again those that you choose.",
    ]


def _messages(n: int, one: str, many: str) -> str:
    return f"1 message {one}" if n == 1 else f"{n:,} messages {many}"


@needs(Act.SEND)
@confirm_password
def campaign_retry(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show what a retry would send again, with its number; send exactly those on POST."""
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    is_pressed = request.method == "POST"
    given = request.POST or request.GET or {"status": status_to_begin_with(campaign)}
    form = RetryForm(given, is_pressed=is_pressed, campaign=campaign)
    if form.is_valid() and is_pressed and (pressed := _retry(request, campaign, form)):
        return pressed
    until, _ = moment()  # an old preview is shown anew, with what was chosen
    return render_page(
        request,
        "outbox/campaign_retry.html",
        {
            "campaign": campaign,
            "form": form,
            "plan": plan_retry(unchanged_since(form.chosen_of(campaign), until)),
            "until": until,
            "key": uuid4(),
            "run": Resending.objects.retrying(campaign).first(),
            "is_doubtful": form.cleaned_data.get("status") in {Status.UNCERTAIN, Status.HELD},
        },
        fragment="chosen",
        status=422 if form.errors else 200,
    )


def _retry(request: HttpRequest, campaign: Campaign, form: RetryForm) -> HttpResponse | None:
    """Queue what was counted again and say what came of it; None where the numbers must be looked at anew.

    What is more than a chunk goes on in the background.
    """
    counted, until = form.cleaned_data["counted"] or 0, form.cleaned_data["until"]
    actor = user_of(request)
    try:
        if counted > CHUNK:
            run = start_retry(
                key=form.cleaned_data["key"],
                campaign=campaign,
                chosen=form.filter_of(campaign),
                until=until,
                most=counted,
                actor=actor,
            )
            return lead_to(run)
        messages = unchanged_since(form.chosen_of(campaign), until)
        queued = retry_campaign(campaign=campaign, messages=messages, actor=actor, most=counted)
    except MoreThanCounted:
        form.add_error(None, "There are more than you saw. Look at the numbers, then press again.")
        return None
    except NothingToRetry as nothing:
        toasts.error(request, str(nothing))
    else:
        toasts.success(request, _told(queued, counted - queued))
    return redirect("campaigns:detail", campaign.pk)


def _told(queued: int, left: int) -> str:
    said = f"{_messages(queued, 'is', 'are')} queued again."
    return f"{said} {left:,} that you saw changed meanwhile and stay as they are." if left else said


@needs(Act.SEE)
def campaign_resending(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show the retry that goes on in the background, or the last one where it did not get to its end."""
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    last = Resending.objects.filter(campaign=campaign).select_related("created_by").last()
    return render_page(
        request,
        "outbox/campaign_resending.html",
        {"campaign": campaign, "run": None if last and last.is_completed else last},
        fragment="run",
        status=polled_status(request, goes_on=campaign.is_followed),
    )


@needs(Act.SEE)
def campaign_failures(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    return render_page(
        request,
        "outbox/campaign_failures.html",
        {"campaign": campaign, "groups": group_failures(campaign_id), "grouped": GROUPED},
        fragment="failures",
        status=polled_status(request, goes_on=campaign.is_followed),
    )
