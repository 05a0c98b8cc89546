"""Pages of campaigns."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from mailops.accounts.meanwhile import ChangedMeanwhile, Meanwhile, last_done, meanwhile, tell_saved
from mailops.accounts.models import User
from mailops.accounts.permissions import Act, needs, user_of
from mailops.campaigns import preflight
from mailops.campaigns.drafting import (
    NotADraft,
    add_campaign,
    change_campaign,
)
from mailops.campaigns.forms import CampaignFilterForm, CampaignForm
from mailops.campaigns.leaving import leaving
from mailops.campaigns.models import Campaign
from mailops.campaigns.tasks import rehearse_soon
from mailops.lib.csv_export import stream_csv, wrong_filter
from mailops.lib.htmx import render_page
from mailops.transports.models import PauseCause

PAGE = 30
FIXES: dict[str, str] = {
    PauseCause.PERSON: "Ask whoever pressed pause, then resume or cancel.",
    PauseCause.GUARDRAIL: "Look at the bounces and complaints first; resume when their cause is gone.",
    PauseCause.FAULT: "Mend what the sentence names; where it is a transport, test it. Then resume: nobody was suppressed, and what waits is sent.",
    PauseCause.RESTORED: "Find out by the relay's log what was sent; or resume if a few people may get the mail twice; else cancel.",
    PauseCause.STALE: "Launch it now or for another time, or cancel it.",
    PauseCause.GATE: "Mend what the sentence names and launch it again; or launch it all the same, with a reason.",
}


@needs(Act.SEE)
def campaign_list(request: HttpRequest) -> HttpResponse:
    form = CampaignFilterForm(request.GET)
    campaigns = _filtered(form)
    page = Paginator(campaigns, PAGE).get_page(request.GET.get("page"))
    return render_page(
        request,
        "campaigns/campaign_list.html",
        {
            "filter_form": form,
            "page": page,
            "is_filtered": bool(request.GET),
            "csv_url": reverse("campaigns:export"),
        },
        fragment="campaigns",
        status=200 if form.is_valid() else 422,
    )


def _filtered(form: CampaignFilterForm) -> Any:
    campaigns = Campaign.objects.select_related(
        "stream", "audience", "version__template"
    ).most_urgent_first()
    if not form.is_valid():
        return campaigns.none()
    if form.cleaned_data["state"]:
        campaigns = campaigns.filter(state=form.cleaned_data["state"])
    if form.cleaned_data["search"]:
        campaigns = campaigns.filter(name__icontains=form.cleaned_data["search"])
    return campaigns


@needs(Act.SEE)
def campaign_export(request: HttpRequest) -> HttpResponseBase:
    form = CampaignFilterForm(request.GET)
    if not form.is_valid():
        return wrong_filter()

    def when(value: Any) -> str:
        return value.isoformat(timespec="seconds") if value else ""

    return stream_csv(
        "campaigns.csv",
        [
            "id",
            "name",
            "state",
            "stream",
            "audience",
            "template",
            "planned",
            "scheduled_at",
            "started_at",
            "finished_at",
            "hours",
            "time_zone",
        ],
        (
            [
                each.pk,
                each.name,
                each.state,
                str(each.stream),
                str(each.audience),
                str(each.version),
                each.planned,
                when(each.scheduled_at),
                when(each.started_at),
                when(each.finished_at),
                each.keeps.hours_in_words,
                each.zone_if_unknown,
            ]
            for each in _filtered(form).iterator(chunk_size=500)
        ),
    )


@needs(Act.SEND)
def campaign_add(request: HttpRequest) -> HttpResponse:
    form = CampaignForm(request.POST or None, initial=request.GET.dict())
    if form.is_valid():
        try:
            with transaction.atomic():
                campaign = add_campaign(**form.cleaned_data, actor=user_of(request))
                rehearse_soon(campaign, user_of(request))
        except ObjectDoesNotExist:
            form = CampaignForm(request.POST)  # it names what is there no more
        else:
            messages.success(request, f"“{campaign}” is a draft. It is being rehearsed now.")
            return redirect("campaigns:detail", campaign.pk)
    return _form(request, form, None)


@needs(Act.SEND)
def campaign_edit(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    if not campaign.is_draft:
        messages.info(
            request,
            f"“{campaign}” is {campaign.get_state_display().lower()}: only a draft can be changed.",
        )
        return redirect("campaigns:detail", campaign.pk)
    form = CampaignForm.of(campaign, request.POST or None)
    if form.is_valid():
        try:
            with transaction.atomic():  # else it could be launched in between
                is_changed = change_campaign(
                    campaign=campaign, **form.cleaned_data, actor=user_of(request)
                )
                if is_changed:
                    rehearse_soon(campaign, user_of(request))
        except ChangedMeanwhile:
            return _conflict(request, get_campaign(campaign.pk))
        except ObjectDoesNotExist:
            campaign = get_campaign(campaign.pk)
            return _form(request, CampaignForm.of(campaign, request.POST), campaign)
        except NotADraft as error:
            messages.error(request, str(error))
        else:
            tell_saved(request, "Saved. It is being rehearsed again.", is_changed=is_changed)
        return redirect("campaigns:detail", campaign.pk)
    return _form(request, form, campaign)


def _conflict(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    """Show the plan as it is by now beside what was typed; whoever saves again has seen it."""
    again = CampaignForm.of(campaign, {**request.POST.dict(), "revision": campaign.revision})
    told = meanwhile(again, last_done("campaign.change", campaign))
    return _form(request, again, campaign, status=422, told=told)


def _form(
    request: HttpRequest,
    form: CampaignForm,
    campaign: Campaign | None,
    *,
    status: int = 200,
    told: Meanwhile | None = None,
) -> HttpResponse:
    back = (
        reverse("campaigns:detail", args=[campaign.pk]) if campaign else reverse("campaigns:list")
    )
    return render_page(
        request,
        "campaigns/campaign_form.html",
        {
            "form": form,
            "campaign": campaign,
            "back": back,
            "lacking": _lacking(form),
            "meanwhile": told,
        },
        status=422 if form.errors else status,
    )


# What must be there before a campaign can be planned: the field, what is said without a choice, and where one is made.
_FIRST = (
    ("stream", "First, a stream", "transports:streams", "Go to the streams", "transports"),
    ("identity", "First, an identity to send from", "domains:list", "Choose its domain", "domains"),
    ("version", "First, a published template", "content:list", "Go to the templates", "templates"),
    ("audience", "First, an audience", "audiences:add", "Add an audience", "plus"),
)


def _lacking(form: CampaignForm) -> dict[str, str] | None:
    for field, title, url_name, action, icon in _FIRST:
        if not form.fields[field].queryset.exists():  # type: ignore[attr-defined]
            return {"title": title, "url": reverse(url_name), "action": action, "icon": icon}
    return None


@needs(Act.SEE)
def campaign_detail(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = get_campaign(campaign_id)
    return render_page(
        request,
        "campaigns/campaign_detail.html",
        {
            "campaign": campaign,
            "fix": _fix(campaign, user_of(request)),
            **preflight_context(campaign),
        },
    )


def _fix(campaign: Campaign, user: User) -> str:
    if campaign.pause_cause == PauseCause.PERSON and campaign.was_paused_by(user):
        return "You paused it: resume or cancel."
    return FIXES.get(campaign.pause_cause, "")


def get_campaign(campaign_id: int) -> Campaign:
    related = ("stream__domain", "identity__domain", "audience", "version__template", "created_by")
    return get_object_or_404(Campaign.objects.select_related(*related), pk=campaign_id)


def preflight_context(campaign: Campaign) -> dict[str, Any]:
    """Return what the preflight's part of the page shows."""
    latest = preflight.latest_preflight(campaign)
    context = {"campaign": campaign, "preflight": latest}
    if latest is None:
        return context
    return {
        **context,
        "stale": preflight.why_stale(latest, campaign),
        "blockers": preflight.blockers(latest).values() if latest.is_completed else [],
        "warnings": preflight.warnings(latest) if latest.is_completed else [],
        "leaving": leaving(campaign, latest) if latest.is_completed else None,
    }
