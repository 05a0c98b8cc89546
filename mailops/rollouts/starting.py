"""Starts scheduled campaigns when their time has come, after asking once more what may speak against them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from mailops.audiences.models import Import
from mailops.campaigns.models import Campaign
from mailops.campaigns.preflight import latest_preflight, speaks_of
from mailops.campaigns.tasks import rehearse_soon
from mailops.lib.database_away import is_away
from mailops.lib.templatetags.times import duration
from mailops.rollouts.launching import gates_of, not_covered
from mailops.rollouts.models import Checklist, Override
from mailops.transports.models import PauseCause

logger = logging.getLogger(__name__)

ASK_AHEAD = timedelta(minutes=15)  # what a long audience and slow name servers need, and some
PATIENCE = timedelta(minutes=10)  # for a rehearsal, or an import, that is still running
NAMED = 3  # objections in the sentence; the rest stand behind it


def start_due() -> int:
    """Start what is due and return how many; rehearse and probe again what soon will be.

    What should have started long ago, or what something speaks against that nobody overrode, waits for a person. One that
    fails keeps no other from its time; it is tried again until it is long past.
    """
    for campaign in Campaign.objects.due_to_start(ahead=ASK_AHEAD):
        with _apart_from_others(campaign):
            if not _is_asked_anew(campaign):
                _ask_anew(campaign)
    started = 0
    for campaign in Campaign.objects.due_to_start():
        with _apart_from_others(campaign):
            started += _start(campaign.pk)
    return started


@contextmanager
def _apart_from_others(campaign: Campaign) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if is_away(error):
            raise  # the next tick comes to all of them
        logger.exception("campaign %d could not be asked or started at its time", campaign.pk)


def _is_asked_anew(campaign: Campaign) -> bool:
    """Tell whether its last rehearsal is of its own time, whoever began it; the launch may have been days ago."""
    assert campaign.scheduled_at is not None
    latest = latest_preflight(campaign)
    return (
        latest is not None
        and latest.created_at >= campaign.scheduled_at - ASK_AHEAD
        and speaks_of(latest, campaign)
    )


def _ask_anew(campaign: Campaign) -> None:
    """Begin what answers the gates: a rehearsal over the audience as it is now, probes, and DNS checks."""
    with transaction.atomic():
        rehearse_soon(campaign, None)
        campaign.identity.domain.recheck_soon()
        lists = Checklist.objects.current().filter(stream=campaign.stream)
        lists.filter(next_probe_at__gt=Now()).update(next_probe_at=Now())


@transaction.atomic
def _start(campaign_id: int) -> bool:
    campaign = (
        Campaign.objects.due_to_start().select_for_update(of=("self",)).filter(pk=campaign_id)
    ).first()
    if campaign is None or campaign.scheduled_at is None:
        return False
    late = timezone.now() - campaign.scheduled_at
    stale_after = timedelta(minutes=settings.MAILOPS_STALE_SCHEDULE_MINUTES)
    if late > stale_after:
        campaign.pause(
            PauseCause.STALE,
            f"It was to start at {_at(campaign.scheduled_at)}. Nothing was running then that could start it, and now, "
            f"{duration(late)} later, nobody may expect it any more. Nothing of it was sent.",
            f"Schedules that are more than {duration(stale_after)} past wait for a person "
            "(MAILOPS_STALE_SCHEDULE_MINUTES).",
        )
        return False
    if _is_being_asked(campaign):
        return False
    if objections := _standing_objections(campaign):
        has_more = len(objections) > NAMED
        more = f" And {len(objections) - NAMED} more." if has_more else ""
        campaign.pause(
            PauseCause.GATE,
            f"It was to start at {_at(campaign.scheduled_at)}, but not everything holds any more: "
            + " ".join(objections[:NAMED])
            + more,
            "\n".join(objections) if has_more else "",
        )
        return False
    return campaign.start(actor=None)


def _is_being_asked(campaign: Campaign) -> bool:
    """Tell whether to wait for the rehearsal of its time, or for an import; no longer than PATIENCE."""
    latest = latest_preflight(campaign)
    assert campaign.scheduled_at is not None
    if latest is None or not _is_asked_anew(campaign):
        return timezone.now() - campaign.scheduled_at < PATIENCE
    began = max(campaign.scheduled_at, latest.created_at)  # late, where mailops was away
    importing = Import.objects.running().filter(audience=campaign.audience_id)
    goes_on = latest.is_running or importing.exists()
    return goes_on and timezone.now() - began < PATIENCE


def _standing_objections(campaign: Campaign) -> list[str]:
    """Return what speaks against the campaign now and was not overridden when it was launched."""
    override = Override.objects.filter(campaign=campaign, is_in_force=True).last()
    return not_covered(gates_of(campaign, at_start=True), override)


def _at(moment: datetime) -> str:
    return f"{moment:%d %b %Y, %H:%M} UTC"
