"""Celery's way into the reports."""

from celery import shared_task

from mailops.reports.rollup import fold_tallies


@shared_task(name="reports.rollup")
def rollup() -> None:
    fold_tallies()
