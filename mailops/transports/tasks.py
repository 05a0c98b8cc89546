"""Celery shells of the transports."""

from celery import shared_task

from mailops.transports.oauth import refresh_due


@shared_task(queue="housekeeping")
def refresh_tokens() -> None:
    refresh_due()
