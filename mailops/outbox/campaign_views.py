"""What the ledger adds to a campaign's page: cancel, retry, and its failures grouped by reply."""

from django.contrib import messages as toasts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from mailops.accounts.permissions import Act, confirm_password, needs, user_of
from mailops.campaigns.models import Campaign
from mailops.lib.confirm import ConfirmForm
from mailops.lib.htmx import render_page
from mailops.outbox.canceling import cancel_campaign
from mailops.outbox.failures import group_failures
from mailops.outbox.forms import RetryForm
from mailops.outbox.models import Message, QueueEntry, Status
from mailops.outbox.retrying import NothingToRetry, retriable, retry_campaign


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
        "It can't be resumed; its unsent messages can be sent again one retry at a time.",
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
    form = RetryForm(request.POST or request.GET or {"status": Status.FAILED})
    chosen = Message.objects.none()
    if form.is_valid():
        chosen = Message.objects.filter(campaign=campaign, status=form.cleaned_data["status"])
        if reason := form.cleaned_data["reason"]:
            chosen = chosen.filter(reason=reason)
    if request.method == "POST" and form.is_valid():
        try:
            queued = retry_campaign(campaign=campaign, messages=chosen, actor=user_of(request))
        except NothingToRetry as nothing:
            toasts.error(request, str(nothing))
        else:
            toasts.success(request, f"{queued:,} messages are queued again.")
        return redirect("campaigns:detail", campaign_id)
    return render_page(
        request,
        "outbox/campaign_retry.html",
        {
            "campaign": campaign,
            "form": form,
            "n": retriable(chosen).count(),
            "is_doubtful": form.is_valid() and form.cleaned_data["status"] == Status.UNCERTAIN,
        },
        fragment="chosen",
        status=422 if form.errors else 200,
    )


@needs(Act.SEE)
def campaign_failures(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    return render_page(
        request,
        "outbox/campaign_failures.html",
        {"campaign": campaign, "groups": group_failures(campaign_id)},
        fragment="failures",
    )
