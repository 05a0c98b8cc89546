"""Starts scheduled campaigns when their time has come, unless it is long past."""

from datetime import timedelta

from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.transports.models import PauseCause

STALE_AFTER = timedelta(hours=1)  # later than this nobody expects it any more


def start_due() -> int:
    """Start what is due; what should have started long ago is paused and waits for a person. Return how many run."""
    started = 0
    for campaign in Campaign.objects.due_to_start():
        assert campaign.scheduled_at is not None
        late = timezone.now() - campaign.scheduled_at
        if late > STALE_AFTER:
            campaign.pause(
                PauseCause.STALE,
                f"It was to start at {campaign.scheduled_at:%d %b %Y, %H:%M} UTC, but mailops was not running then.",
                f"{late} late; schedules older than {STALE_AFTER} wait for a person.",
            )
        else:
            started += campaign.start(actor=None)
    return started
