"""What the ledger adds to a campaign's page: cancel, retry, and its failures grouped by reply."""

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from mailops.accounts.permissions import Act, confirm_password, needs, user_of
from mailops.campaigns.models import Campaign
from mailops.lib.confirm import ConfirmForm
from mailops.lib.htmx import polled_status, render_page
from mailops.outbox.canceling import cancel_campaign
from mailops.outbox.doubtful import moment
from mailops.outbox.failures import group_failures
from mailops.outbox.forms import RetryForm
from mailops.outbox.models import QueueEntry, Status
from mailops.outbox.retrying import (
    MoreThanCounted,
    NothingToRetry,
    plan_retry,
    retry_campaign,
    status_to_begin_with,
    unchanged_since,
)


@needs(Act.SEND)
def campaign_cancel(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    form = ConfirmForm(request.POST or None, name=campaign.name)
    if request.method == "POST" and form.is_valid():
        if cancel_campaign(campaign=campaign, actor=user_of(request)):
            toasts.success(request, "Canceled. What had not left stays here.")
        else:
            toasts.error(request, "It is completed or canceled already.")
        return redirect("campaigns:detail", campaign_id)
    waiting = QueueEntry.objects.filter(campaign=campaign).count()
    effects = [
        f"{waiting:,} messages that have not left will not be sent.",
        "What is being sent at this moment still goes out: at most one message for each open session.",
        "It can't be resumed; of its unsent messages you can send again those that you choose.",
    ]
    return render_page(
        request,
        "outbox/campaign_cancel.html",
        {"campaign": campaign, "form": form, "effects": effects},
        status=422 if form.errors else 200,
    )


@needs(Act.SEND)
@confirm_password
def campaign_retry(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show what a retry would send again, with its number; send exactly those on POST."""
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    is_pressed = request.method == "POST"
    given = request.POST or request.GET or {"status": status_to_begin_with(campaign)}
    form = RetryForm(given, is_pressed=is_pressed)
    if form.is_valid() and is_pressed and _retry(request, campaign, form):
        return redirect("campaigns:detail", campaign_id)
    until, _ = moment()  # an old preview is shown anew, with what was chosen
    return render_page(
        request,
        "outbox/campaign_retry.html",
        {
            "campaign": campaign,
            "form": form,
            "plan": plan_retry(unchanged_since(form.chosen_of(campaign), until)),
            "until": until,
            "is_doubtful": form.cleaned_data.get("status") == Status.UNCERTAIN,
        },
        fragment="chosen",
        status=422 if form.errors else 200,
    )


def _retry(request: HttpRequest, campaign: Campaign, form: RetryForm) -> bool:
    """Queue what was counted again and say what came of it; False where the numbers must be looked at anew."""
    counted = form.cleaned_data["counted"] or 0
    try:
        queued = retry_campaign(
            campaign=campaign,
            messages=unchanged_since(form.chosen_of(campaign), form.cleaned_data["until"]),
            actor=user_of(request),
            most=counted,
        )
    except MoreThanCounted:
        form.add_error(None, "There are more than you saw. Look at the numbers, then press again.")
        return False
    except NothingToRetry as nothing:
        toasts.error(request, str(nothing))
        return True
    toasts.success(request, _told(queued, counted - queued))
    return True


def _told(queued: int, left: int) -> str:
    said = f"{queued:,} {'message is' if queued == 1 else 'messages are'} queued again."
    return f"{said} {left:,} that you saw changed meanwhile and stay as they are." if left else said


@needs(Act.SEE)
def campaign_failures(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    return render_page(
        request,
        "outbox/campaign_failures.html",
        {"campaign": campaign, "groups": group_failures(campaign_id)},
        fragment="failures",
        status=polled_status(request, goes_on=campaign.is_followed),
    )
