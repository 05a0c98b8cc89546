"""What can be done to a campaign from its page."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from mailops.accounts.meanwhile import (
    ChangedMeanwhile,
    Meanwhile,
    last_done,
    meanwhile,
    tell_saved,
    typed_by_one_who_saw,
)
from mailops.accounts.permissions import Act, confirm_password, needs, user_of
from mailops.campaigns.drafting import (
    HasStarted,
    NotADraft,
    change_hours,
    delete_campaign,
    duplicate_campaign,
)
from mailops.campaigns.forms import CampaignHoursForm, ReasonForm, ScheduleForm
from mailops.campaigns.models import Campaign
from mailops.campaigns.preflight import TooLate
from mailops.campaigns.tasks import rehearse_soon
from mailops.campaigns.views import get_campaign, preflight_context
from mailops.lib.htmx import polled_status, render_page
from mailops.transports.forms.hours import hours_told
from mailops.transports.models import PauseCause


@needs(Act.SEE, to_change=Act.SEND)
def campaign_preflight(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show the rehearsal, live; a POST begins a new one."""
    campaign = get_campaign(campaign_id)
    if request.method == "POST":
        try:
            rehearse_soon(campaign, user_of(request))
        except TooLate as error:
            messages.info(request, str(error))
        return redirect("campaigns:detail", campaign.pk)
    context = preflight_context(campaign)
    goes_on = context["preflight"] is not None and context["preflight"].is_running
    return render_page(
        request,
        "campaigns/campaign_preflight.html",
        context,
        fragment="preflight",
        status=polled_status(request, goes_on=goes_on),
    )


@needs(Act.OPERATE)
@require_POST
def campaign_pause(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    form = ReasonForm(request.POST)
    reason = form.cleaned_data["reason"] if form.is_valid() else ""
    actor = user_of(request)
    sentence = f"{actor} paused it: {reason}" if reason else f"{actor} paused it."
    if campaign.pause(PauseCause.PERSON, sentence, actor=actor):
        messages.success(
            request, f"“{campaign}” is paused. What is on its way this second may still leave."
        )
    else:
        messages.info(request, f"“{campaign}” is not running.")
    return redirect("campaigns:detail", campaign.pk)


@needs(Act.SEND)
@confirm_password
def campaign_schedule(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Move the time of a scheduled campaign; the launch, which asks the gates, sets the first one."""
    campaign = get_campaign(campaign_id)
    if not campaign.is_scheduled:
        messages.info(request, f"“{campaign}” is not scheduled. Launch it first.")
        return redirect("campaigns:detail", campaign.pk)
    form = _schedule_form(campaign, request.POST or None)
    if form.is_valid():
        at, seen = form.cleaned_data["at"], form.cleaned_data["seen"]
        try:
            is_set = campaign.reschedule(at, actor=user_of(request), seen=seen)
        except ChangedMeanwhile:
            return _schedule_conflict(request, get_campaign(campaign.pk))
        if is_set:
            tell_saved(request, "The new time is set.", is_changed=at != campaign.scheduled_at)
        else:
            campaign.refresh_from_db()
            state = campaign.get_state_display().lower()
            messages.error(request, f"The time was not changed: “{campaign}” is {state} by now.")
        return redirect("campaigns:detail", campaign.pk)
    return _schedule_page(request, campaign, form, None)


def _schedule_form(campaign: Campaign, typed: Mapping[str, Any] | None) -> ScheduleForm:
    shown = {"at": campaign.scheduled_at}
    return ScheduleForm(typed, initial=shown, mark=campaign.schedule_mark)


def _schedule_conflict(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    """Show the time as it is by now beside what was typed; whoever saves again has seen it."""
    again = _schedule_form(campaign, typed_by_one_who_saw(campaign.schedule_mark, request.POST))
    told = meanwhile(again, last_done("campaign.schedule", campaign))
    return _schedule_page(request, campaign, again, told)


def _schedule_page(
    request: HttpRequest, campaign: Campaign, form: ScheduleForm, told: Meanwhile | None
) -> HttpResponse:
    back = reverse("campaigns:detail", args=[campaign.pk])
    context = {"campaign": campaign, "form": form, "back": back, "meanwhile": told}
    status = 422 if form.is_bound else 200
    return render_page(request, "campaigns/campaign_schedule.html", context, status=status)


@needs(Act.SEND)
@confirm_password
def campaign_hours(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Set when its mail may leave, also while it runs: what waits is moved then."""
    campaign = get_campaign(campaign_id)
    back = reverse("campaigns:detail", args=[campaign.pk])
    if not campaign.may_be_canceled:
        messages.info(request, f"“{campaign}” is {campaign.get_state_display().lower()}.")
        return redirect(back)
    form = CampaignHoursForm(request.POST or None, campaign=campaign)
    if form.is_valid():
        try:
            is_changed = change_hours(
                campaign=campaign,
                hours=form.hours,
                has_own_hours=form.has_own_hours,
                revision=form.cleaned_data["revision"],
                actor=user_of(request),
            )
        except ChangedMeanwhile:
            return _hours_conflict(request, get_campaign(campaign.pk))
        except HasStarted:
            campaign = get_campaign(campaign.pk)
            form = CampaignHoursForm(request.POST, campaign=campaign)
        except NotADraft as error:
            messages.info(request, str(error))
            return redirect(back)
        else:
            tell_saved(request, "The hours are saved.", is_changed=is_changed)
            return redirect(back)
    return render_page(
        request,
        "campaigns/campaign_hours.html",
        {"campaign": campaign, "form": form, "back": back},
        status=422 if form.errors else 200,
    )


def _hours_conflict(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    """Show the hours as they are by now beside what was typed; whoever saves again has seen them."""
    typed = request.POST.copy()
    typed["revision"] = campaign.hours_revision
    facts = hours_told(campaign.keeps.hours_in_words, campaign.zone_if_unknown)
    context = {
        "campaign": campaign,
        "form": CampaignHoursForm(typed, campaign=campaign),
        "meanwhile": Meanwhile(facts, last_done("campaign.hours", campaign)),
        "back": reverse("campaigns:detail", args=[campaign.pk]),
    }
    return render_page(request, "campaigns/campaign_hours.html", context, status=422)


@needs(Act.SEND)
@require_POST
def campaign_unschedule(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    if campaign.unschedule(actor=user_of(request)):
        messages.success(request, f"“{campaign}” is a draft again.")
    else:
        messages.info(request, f"“{campaign}” is not scheduled any more.")
    return redirect("campaigns:detail", campaign.pk)


@needs(Act.SEND)
@require_POST
def campaign_duplicate(request: HttpRequest, campaign_id: int) -> HttpResponse:
    copy = duplicate_campaign(campaign=get_campaign(campaign_id), actor=user_of(request))
    messages.success(request, "This is the copy. Give it a name of its own.")
    return redirect("campaigns:edit", copy.pk)


@needs(Act.SEND)
def campaign_delete(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    back = reverse("campaigns:detail", args=[campaign.pk])
    if not campaign.is_draft:
        messages.info(request, "Only a draft can be deleted: what was sent stays told.")
        return redirect(back)
    if request.method == "POST":
        try:
            delete_campaign(campaign=campaign, actor=user_of(request))
        except NotADraft as error:
            messages.error(request, str(error))
            return redirect(back)
        messages.success(request, f"“{campaign}” is deleted.")
        return redirect("campaigns:list")
    return render_page(
        request,
        "campaigns/campaign_confirm_delete.html",
        {"campaign": campaign, "back": back},
    )
