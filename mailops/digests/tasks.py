"""Celery shells of the weekly digest, on the default queue."""

from celery import shared_task

from mailops.digests import sending


@shared_task
def send_digests() -> None:
    """Make the digests that are due, and send them."""
    sending.make_due()
    sending.deliver_due()
