"""Celery shells of the incidents, on the default queue."""

from celery import shared_task

from mailops.incidents import detection, notifying
from mailops.lib.waiting_tasks import Tells


@shared_task
def detect() -> None:
    """Compare the counts with the thresholds."""
    detection.detect()


@shared_task(base=Tells)
def notify() -> None:
    """Tell channels what is due."""
    notifying.deliver_due()
