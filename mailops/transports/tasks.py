"""Celery shells of the transports."""

from celery import shared_task

from mailops.lib.waiting_tasks import WaitsForPeers
from mailops.transports import gracing
from mailops.transports.oauth import refresh_due


@shared_task
def keep_grace() -> None:
    """Safe to run doubled: each domain is settled under its lock."""
    gracing.keep_grace()


@shared_task(base=WaitsForPeers)
def refresh_tokens() -> None:
    """Safe to run doubled: a token is refreshed by whoever gets its lease."""
    refresh_due()
