"""The ticks that prove checklists again and start scheduled campaigns."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from mailops.lib.waiting_tasks import WaitsForPeers
from mailops.rollouts import starting
from mailops.rollouts.mail_probing import judge_captured
from mailops.rollouts.probing import make_missing, probe_due, settle_all

TICK_SECONDS = 20  # begun probes may take as long again: a transport's test has 18 s


@shared_task
def start_due_campaigns() -> None:
    """Start what is due; each start is guarded by its row."""
    starting.start_due()


@shared_task
def make_checklists() -> None:
    """Make the lists of new streams, and of those that moved to another domain."""
    make_missing()


@shared_task
def settle_checklists() -> None:
    """Have the lists say what holds by now, whatever the clock and the campaigns did since they were probed."""
    settle_all()


@shared_task(base=WaitsForPeers)
def judge_mail_probes() -> None:
    """Judge what was captured of probes."""
    judge_captured(until=timezone.now() + timedelta(seconds=TICK_SECONDS))


@shared_task(base=WaitsForPeers)
def probe_checklists() -> None:
    """Probe what is due; doubled ticks share the work, since each list is claimed first."""
    probe_due(until=timezone.now() + timedelta(seconds=TICK_SECONDS))
