"""Celery shells of signatures: hints that a lesson has replies left to understand anew."""

from time import monotonic

from celery import shared_task
from django.db import OperationalError

from mailops.signatures import reclassifying
from mailops.signatures.models import Lesson

BUDGET_SECONDS = 6.0  # then the task hands on to a new one, so that none blocks its queue


@shared_task
def continue_lesson(lesson_id: int) -> None:
    """Understand chunks anew for a few seconds; hand on while there are more."""
    stop_at = monotonic() + BUDGET_SECONDS
    try:
        while reclassifying.reclassify_chunk(lesson_id=lesson_id):
            if monotonic() > stop_at:
                continue_lesson.delay(lesson_id)
                return
    except OperationalError:  # the database is away or broke a deadlock: the tick comes again
        raise
    except Exception as error:
        reclassifying.note_failure(lesson_id=lesson_id, error=error)
        raise


@shared_task
def continue_lessons() -> None:
    """Pick up what lost its hint, and look once more at what was recorded while lessons began."""
    running = Lesson.objects.filter(state=Lesson.State.RUNNING)
    for lesson_id in running.values_list("pk", flat=True):
        continue_lesson.delay(lesson_id)
    reclassifying.recheck_settled()
