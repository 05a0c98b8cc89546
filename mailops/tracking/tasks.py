"""Celery's hints to read looks at mail, and to forget them."""

from celery import shared_task

from mailops.tracking import forgetting, reading

BATCHES = 20  # a task stays well under a minute, then hands on


@shared_task
def read_hits() -> None:
    for _ in range(BATCHES):
        if reading.read_hits() < reading.BATCH:
            return
    read_hits.delay()


@shared_task
def forget_old_looks() -> None:
    for _ in range(BATCHES):
        if not forgetting.forget_old():
            return
    forget_old_looks.delay()
