"""The page that launches a campaign, and its panel on the campaign's page."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from mailops.accounts.permissions import Act, confirm_password, may, needs, user_of
from mailops.campaigns.leaving import leaving
from mailops.campaigns.models import Campaign
from mailops.campaigns.preflight import latest_preflight, warnings
from mailops.lib.htmx import render_page
from mailops.rollouts.forms import LaunchForm
from mailops.rollouts.launching import (
    Gate,
    NotLaunched,
    facts_of,
    gates_of,
    launch,
    what_changed,
)
from mailops.rollouts.pacing import pace_of, why_impatient, why_still


def _campaign(campaign_id: int) -> Campaign:
    related = ("stream__domain", "identity__domain", "version__template", "audience")
    return get_object_or_404(Campaign.objects.select_related(*related), pk=campaign_id)


def _context(campaign: Campaign, gates: list[Gate]) -> dict[str, Any]:
    preflight = latest_preflight(campaign)
    is_done = preflight is not None and preflight.is_completed
    pace = pace_of(campaign.stream, preflight.sendable) if preflight and is_done else None
    return {
        "campaign": campaign,
        "gates": gates,
        "facts": facts_of(campaign, gates),
        "is_blocked": any(not gate.is_open and not gate.may_be_overridden for gate in gates),
        "needs_override": any(not gate.is_open for gate in gates),
        "preflight": preflight if is_done else None,
        "warnings": warnings(preflight) if preflight and is_done else [],
        "leaving": leaving(campaign, preflight) if preflight and is_done else None,
        "pace": pace,
        "stillness": why_still(campaign.stream),
        "impatience": why_impatient(campaign.stream, pace) if pace else "",
    }


@needs(Act.SEND)
@confirm_password
def campaign_launch(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = _campaign(campaign_id)
    if not campaign.may_be_launched:
        messages.info(request, f"“{campaign}” is {campaign.get_state_display().lower()} already.")
        return redirect("campaigns:detail", campaign.pk)
    context = _context(campaign, gates_of(campaign))
    form = _form(request, context)
    if not form.is_bound:
        return _page(request, context, form)
    if changed := what_changed(context["facts"], _seen(request)):
        form.add_error(None, changed)
    if not form.is_valid() or context["is_blocked"]:
        return _page(request, context, form)
    return _launch(request, campaign, form)


def _form(request: HttpRequest, context: dict[str, Any]) -> LaunchForm:
    data = request.POST if request.method == "POST" else None
    needs_reason = context["needs_override"] and may(request.user, Act.SIGN)
    return LaunchForm(data, name=context["campaign"].name, needs_reason=needs_reason)


def _seen(request: HttpRequest) -> list[str]:
    """Return the marks of the facts that the page showed on which somebody pressed."""
    return request.POST.get("seen", "").split()


def _page(request: HttpRequest, context: dict[str, Any], form: LaunchForm) -> HttpResponse:
    status = 422 if form.is_bound else 200
    context = {**context, "form": form}
    return render_page(request, "rollouts/campaign_launch.html", context, status=status)


def _launch(request: HttpRequest, campaign: Campaign, form: LaunchForm) -> HttpResponse:
    at = form.cleaned_data["at"]
    reason = form.cleaned_data.get("override_reason", "")
    actor = user_of(request)
    try:
        launched = launch(campaign, actor=actor, override_reason=reason, at=at, seen=_seen(request))
    except NotLaunched as refusal:
        return _refused(request, campaign.pk, refusal)
    messages.success(
        request, f"“{launched}” starts {'at its time' if at else 'now'}; its numbers follow here."
    )
    return redirect("campaigns:detail", launched.pk)


def _refused(request: HttpRequest, campaign_id: int, refusal: NotLaunched) -> HttpResponse:
    """Show the page as it is by now, with what was typed and why that was refused."""
    campaign = _campaign(campaign_id)
    context = _context(campaign, gates_of(campaign))
    form = _form(request, context)
    form.add_error(None, str(refusal))
    return _page(request, context, form)


@needs(Act.SEE)
def campaign_launch_panel(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = _campaign(campaign_id)
    context = _context(campaign, gates_of(campaign))
    return render_page(request, "rollouts/launch_panel.html", context, fragment="launch")
