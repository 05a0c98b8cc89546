"""Celery's way into the reports."""

from celery import shared_task
from django.utils import timezone

from mailops.reports.rolling import roll_up as do_roll_up
from mailops.reports.rollup import fold_tallies
from mailops.reports.sampling import sample_queues
from mailops.reports.sealing import seal_old_counts


@shared_task(name="reports.rollup")
def rollup() -> None:
    fold_tallies()


@shared_task(name="reports.roll_up")
def roll_up() -> None:
    do_roll_up()


@shared_task(name="reports.sample")
def sample() -> None:
    sample_queues()


@shared_task(name="reports.seal")
def seal() -> None:
    seal_old_counts(timezone.now())
