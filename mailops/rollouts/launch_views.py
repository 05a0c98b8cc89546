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
from mailops.rollouts.launching import Gate, NotLaunched, gates_of, launch
from mailops.rollouts.pacing import pace_of


def _campaign(campaign_id: int) -> Campaign:
    related = ("stream__domain", "identity__domain", "version__template", "audience")
    return get_object_or_404(Campaign.objects.select_related(*related), pk=campaign_id)


def _context(campaign: Campaign, gates: list[Gate]) -> dict[str, Any]:
    preflight = latest_preflight(campaign)
    is_done = preflight is not None and preflight.is_completed
    return {
        "campaign": campaign,
        "gates": gates,
        "is_blocked": any(not gate.is_open and not gate.may_be_overridden for gate in gates),
        "needs_override": any(not gate.is_open for gate in gates),
        "preflight": preflight if is_done else None,
        "warnings": warnings(preflight) if preflight and is_done else [],
        "leaving": leaving(campaign, preflight) if preflight and is_done else None,
        "pace": pace_of(campaign.stream, preflight.sendable) if preflight and is_done else "",
    }


@needs(Act.SEND)
@confirm_password
def campaign_launch(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = _campaign(campaign_id)
    if not campaign.may_be_launched:
        messages.info(request, f"“{campaign}” is {campaign.get_state_display().lower()} already.")
        return redirect("campaigns:detail", campaign.pk)
    gates = gates_of(campaign)
    context = _context(campaign, gates)
    needs_reason = context["needs_override"] and may(request.user, Act.SIGN)
    data = request.POST if request.method == "POST" else None
    form = LaunchForm(data, name=campaign.name, needs_reason=needs_reason)
    if request.method != "POST" or not form.is_valid() or context["is_blocked"]:
        status = 422 if form.is_bound else 200
        return render_page(
            request, "rollouts/campaign_launch.html", {**context, "form": form}, status=status
        )
    return _launch(request, campaign, form, context)


def _launch(
    request: HttpRequest, campaign: Campaign, form: LaunchForm, context: dict[str, Any]
) -> HttpResponse:
    at = form.cleaned_data["at"]
    reason = form.cleaned_data.get("override_reason", "")
    try:
        launched = launch(campaign, actor=user_of(request), override_reason=reason, at=at)
    except NotLaunched as refusal:
        form.add_error(None, str(refusal))
        context = {**context, "form": form}
        return render_page(request, "rollouts/campaign_launch.html", context, status=422)
    messages.success(
        request, f"“{launched}” starts {'at its time' if at else 'now'}; its numbers follow here."
    )
    return redirect("campaigns:detail", launched.pk)


@needs(Act.SEE)
def campaign_launch_panel(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = _campaign(campaign_id)
    context = _context(campaign, gates_of(campaign))
    return render_page(request, "rollouts/launch_panel.html", context, fragment="launch")
