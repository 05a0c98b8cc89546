"""The tick that stops and resumes the bulk mail of broken domains."""

from celery import shared_task

from mailops.transports import gracing


@shared_task
def keep_grace() -> None:
    """Safe to run doubled: each domain is settled under its lock."""
    gracing.keep_grace()
