"""The home page, and the live panels that stand on it and on a campaign's page."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.permissions import Act, needs
from mailops.campaigns.models import Campaign
from mailops.lib.first_rows import first_rows
from mailops.lib.htmx import polled_status, render_page
from mailops.outbox.models import QueueEntry
from mailops.outbox.queues import oldest_due_at
from mailops.outbox.waiting import COUNTED
from mailops.reports.attention import matters
from mailops.reports.balance import balance, pace
from mailops.reports.beginning import steps
from mailops.reports.charts import SHORT
from mailops.reports.composing import compose, numbers_of, openings
from mailops.reports.moments import at_times
from mailops.reports.periods import Step, last_days

RUNNING_SHOWN = 5
DAYS = 7
STEP = Step.THREE_HOURS
LATE = timedelta(minutes=1)  # due for longer is told: what is due just now is about to leave


@needs(Act.SEE)
def overview(request: HttpRequest) -> HttpResponse:
    period = last_days(timezone.now(), DAYS, timezone.get_current_timezone(), STEP)
    composed = compose(numbers_of({}, period), {}, SHORT)
    reports = reverse("reports:reports")
    composed["axis"]["opens"] = openings(period, lambda *times: reports + at_times(*times))
    return render_page(
        request,
        "reports/overview.html",
        {
            **composed,
            "matters": matters(),
            "steps": steps(),
            "days": DAYS,
            **_running(),
            **_queue(),
        },
    )


@needs(Act.SEE)
def needing(request: HttpRequest) -> HttpResponse:
    """Show what waits for a person; the overview asks again, since it may stand open all night."""
    context = {"matters": matters(), "steps": steps()}
    return render_page(request, "reports/matters.html", context, fragment="matters")


@needs(Act.SEE)
def running(request: HttpRequest) -> HttpResponse:
    """Show the running campaigns and the queue; htmx asks again, seldom while there are none."""
    context = {**_running(), **_queue()}
    return render_page(request, "reports/running.html", context, fragment="running")


@needs(Act.SEE)
def campaign_progress(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show where a campaign's messages are; what else shows the campaign is told when it got on from what was `seen`."""
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    progress = _progress(campaign)
    shown = "-".join([campaign.stage, *(status for status, _ in progress["balance"].rows)])
    response = render_page(
        request,
        "reports/campaign_progress.html",
        {"campaign": campaign, "shown": shown, **progress},
        fragment="progress",
        status=polled_status(request, goes_on=campaign.is_followed),
    )
    if request.GET.get("seen", shown) not in {shown, campaign.stage}:
        response["HX-Trigger"] = "campaign-moved"
    return response


def _progress(campaign: Campaign) -> dict[str, Any]:
    standing = balance(campaign)
    return {
        "balance": standing,
        "pace": pace(campaign, standing) if campaign.is_running else None,
        "whole": campaign.planned,  # None: unknown, since the audience is still being read
    }


def _running() -> dict[str, Any]:
    chosen = Campaign.objects.running().order_by("-started_at", "-id")
    shown, more = first_rows(chosen, RUNNING_SHOWN)
    progress = [{"campaign": one, **_progress(one)} for one in shown]
    return {"running": progress, "more_running": more}


def _queue() -> dict[str, Any]:
    """Return how many messages wait and since when the oldest is due; counted up to a bound."""
    queued = QueueEntry.objects.all()[:COUNTED].count()
    oldest = oldest_due_at()
    is_late = oldest is not None and oldest < timezone.now() - LATE
    return {
        "queued": queued,
        "queued_is_bounded": queued >= COUNTED,
        "oldest_due_at": oldest if is_late else None,
    }
