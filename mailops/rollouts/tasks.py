"""The ticks that prove checklists again and start scheduled campaigns."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from mailops.lib.waiting_tasks import WaitsForPeers
from mailops.rollouts import starting
from mailops.rollouts.probing import probe_due

TICK_SECONDS = 20  # begun probes may take as long again: a transport's test has 18 s


@shared_task
def start_due_campaigns() -> None:
    """Start what is due; each start is guarded by its row."""
    starting.start_due()


@shared_task(base=WaitsForPeers)
def probe_checklists() -> None:
    """Probe what is due; doubled ticks share the work, since each list is claimed first."""
    probe_due(until=timezone.now() + timedelta(seconds=TICK_SECONDS))
