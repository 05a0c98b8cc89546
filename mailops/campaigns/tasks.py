"""Celery shells of the campaigns: hints that a campaign is due or a rehearsal has members to read."""

from functools import partial

from celery import shared_task
from django.db import transaction

from mailops.accounts.models import User
from mailops.campaigns import rehearsing
from mailops.campaigns.models import Campaign, Preflight
from mailops.campaigns.preflight import start_preflight
from mailops.lib.chunks import go_on, pick_up


@shared_task
def continue_preflight(preflight_id: int) -> None:
    """Rehearse chunks for a few seconds; hand on while there are more."""
    go_on(
        partial(rehearsing.check_chunk, preflight_id=preflight_id),
        hand_on=partial(continue_preflight.delay, preflight_id),
        note_failure=partial(rehearsing.note_failure, preflight_id),
    )


@shared_task
def continue_preflights() -> None:
    """Pick up rehearsals whose hint was lost."""
    pick_up(Preflight.objects.all(), continue_preflight.delay)


def rehearse_soon(campaign: Campaign, actor: User | None) -> None:
    """Begin a preflight and have it worked off once that is committed; raises TooLate."""
    begun = start_preflight(campaign=campaign, actor=actor)
    transaction.on_commit(lambda: continue_preflight.delay(begun.pk), robust=True)
