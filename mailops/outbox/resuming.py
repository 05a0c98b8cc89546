"""Lets a paused campaign run again, for the pause that a person saw."""

from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from mailops.accounts.models import User
from mailops.campaigns.models import Campaign
from mailops.outbox.models import QueueEntry
from mailops.outbox.retrying import lock_campaign


def resume_campaign(*, campaign: Campaign, actor: User | None, seen: str | None = None) -> bool:
    """Let the campaign run again; return False where it isn't paused, or has not started.

    Whoever presses on a page gives the mark of the pause as `seen` there: raise PausedAnew where it is another one by
    now. What a restored database owes waited for a person, so its stream's time begins anew.
    """
    with transaction.atomic():
        locked = lock_campaign(campaign.pk)
        locked.expect_pause(seen)
        if locked.was_restored:
            give_whole_time(locked)
        return locked.resume(actor=actor)


def give_whole_time(campaign: Campaign) -> None:
    """Give what it owes its stream's whole time: expired, it would count as what certainly did not arrive."""
    least = Now() + timedelta(seconds=campaign.stream.expiry_seconds)
    QueueEntry.objects.filter(campaign=campaign, expires_at__lt=least).update(expires_at=least)
