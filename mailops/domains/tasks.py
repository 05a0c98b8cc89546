"""The tick that checks due domains again."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from mailops.domains.checking import check_due_domains

TICK_SECONDS = 45


@shared_task
def recheck_domains() -> None:
    """Check what is due; doubled ticks share the work, since each domain is claimed before it is asked for."""
    check_due_domains(until=timezone.now() + timedelta(seconds=TICK_SECONDS))
