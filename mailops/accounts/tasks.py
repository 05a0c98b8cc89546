"""Celery's hints to forget what is past its time."""

from celery import shared_task

from mailops.accounts import ended_sessions


@shared_task
def forget_ended_sessions() -> None:
    """Drop a number of sessions that ended; hand on while there are more."""
    if ended_sessions.forget():
        forget_ended_sessions.delay()
