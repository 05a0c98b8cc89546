"""Celery shells of the weekly digest and of what goes its way, on the default queue."""

from celery import shared_task

from mailops.digests import sending, warning


@shared_task
def send_digests() -> None:
    """Make the digests that are due, and send them."""
    sending.make_due()
    sending.deliver_due()


@shared_task
def warn_of_resets() -> None:
    """Tell those whose second factor was reset."""
    warning.warn()
