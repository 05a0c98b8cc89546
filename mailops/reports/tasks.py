"""Celery's way into the reports."""

from celery import shared_task
from django.utils import timezone

from mailops.reports import folding, rolling, sampling, sealing


@shared_task(name="reports.fold")
def fold() -> None:
    folding.fold_tallies()


@shared_task(name="reports.roll_up")
def roll_up() -> None:
    rolling.roll_up()


@shared_task(name="reports.sample")
def sample() -> None:
    sampling.sample_queues()


@shared_task(name="reports.seal")
def seal() -> None:
    sealing.seal_old_counts(timezone.now())
