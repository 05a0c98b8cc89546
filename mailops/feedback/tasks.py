"""Celery's hints to read what came in."""

import logging

import psycopg
from celery import shared_task
from kombu.exceptions import OperationalError

from mailops.feedback import processing

logger = logging.getLogger(__name__)

BATCHES = 20  # a task stays well under a minute, then hands on


@shared_task
def process_feedback() -> None:
    for _ in range(BATCHES):
        if processing.process_pending() == 0:
            return
    nudge()


def nudge() -> None:
    """Hint that something waits; where the broker is away, the next tick finds it."""
    try:
        process_feedback.apply_async(retry=False)
    except (OperationalError, psycopg.Error, OSError) as error:
        logger.info("no hint could be sent, the next tick reads what waits: %s", error)
