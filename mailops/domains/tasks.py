"""The ticks: domains that are due, and keys that somebody publishes or that have retired."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from mailops.domains.checking import check_due_domains
from mailops.domains.signing_keys import retire_spent, watch
from mailops.lib.locks import session_lock
from mailops.lib.waiting_tasks import WaitsForPeers

TICK_SECONDS = 45


@shared_task(base=WaitsForPeers)
def recheck_domains() -> None:
    """Check what is due; doubled ticks share the work, since each domain is claimed before it is asked for."""
    check_due_domains(until=timezone.now() + timedelta(seconds=TICK_SECONDS))


@shared_task(base=WaitsForPeers)
def watch_signing_keys() -> None:
    with session_lock("signing-keys") as is_ours:
        if is_ours:
            retire_spent()
            watch(until=timezone.now() + timedelta(seconds=TICK_SECONDS))
