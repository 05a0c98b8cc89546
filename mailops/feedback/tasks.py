"""Celery's hints to read what came in."""

import logging

import psycopg
from celery import shared_task
from kombu.exceptions import OperationalError

from mailops.feedback import forgetting, processing, soft_bounces

logger = logging.getLogger(__name__)

BATCHES = 20  # a task stays well under a minute, then hands on


@shared_task
def process_feedback() -> None:
    for _ in range(BATCHES):
        if processing.process_pending() == 0:
            return
    nudge()


@shared_task
def suppress_repeated_soft_bounces() -> None:
    for _ in range(BATCHES):
        if not soft_bounces.suppress_repeated():
            return
    suppress_repeated_soft_bounces.delay()


@shared_task
def forget_old_feedback() -> None:
    """Delete what is too old to be asked after; hand on while there is more."""
    for _ in range(BATCHES):
        if forgetting.forget_old() < forgetting.CHUNK:
            return
    forget_old_feedback.delay()


def nudge() -> None:
    """Hint that something waits; where the broker is away, the next tick finds it."""
    try:
        process_feedback.apply_async(retry=False)
    except (OperationalError, psycopg.Error, OSError) as error:
        logger.info("no hint could be sent, the next tick reads what waits: %s", error)
