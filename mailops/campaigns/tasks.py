"""Celery shells of the campaigns: hints that a campaign is due or a rehearsal has members to read."""

from time import monotonic

from celery import shared_task
from django.db import OperationalError, transaction

from mailops.accounts.models import User
from mailops.campaigns import rehearsing
from mailops.campaigns.models import Campaign, Preflight
from mailops.campaigns.preflight import start_preflight

BUDGET_SECONDS = 6.0  # then the task hands on to a new one, so that none blocks its queue


@shared_task
def continue_preflight(preflight_id: int) -> None:
    """Rehearse chunks for a few seconds; hand on while there are more."""
    stop_at = monotonic() + BUDGET_SECONDS
    try:
        while rehearsing.check_chunk(preflight_id=preflight_id):
            if monotonic() > stop_at:
                continue_preflight.delay(preflight_id)
                return
    except OperationalError:  # the database is away: the tick comes again
        raise
    except Exception as error:
        rehearsing.note_failure(preflight_id=preflight_id, error=error)
        raise


@shared_task
def continue_preflights() -> None:
    """Pick up rehearsals whose hint was lost; the row lock keeps doubles out."""
    running = Preflight.objects.filter(state=Preflight.State.RUNNING)
    for preflight_id in running.values_list("pk", flat=True):
        continue_preflight.delay(preflight_id)


def rehearse_soon(campaign: Campaign, actor: User | None) -> None:
    """Begin a preflight and have it worked off once that is committed; raises TooLate."""
    begun = start_preflight(campaign=campaign, actor=actor)
    transaction.on_commit(lambda: continue_preflight.delay(begun.pk), robust=True)
