"""Celery shells of signatures: hints that a lesson has replies left to understand anew."""

from functools import partial

from celery import shared_task

from mailops.lib.chunks import go_on, pick_up
from mailops.signatures import reclassifying
from mailops.signatures.models import Lesson


@shared_task
def continue_lesson(lesson_id: int) -> None:
    """Understand chunks anew for a few seconds; hand on while there are more."""
    go_on(
        partial(reclassifying.reclassify_chunk, lesson_id=lesson_id),
        hand_on=partial(continue_lesson.delay, lesson_id),
        note_failure=partial(reclassifying.note_failure, lesson_id),
    )


@shared_task
def recheck_lesson(lesson_id: int) -> None:
    """Look once more at chunks for a few seconds; hand on while there are more."""
    go_on(
        partial(reclassifying.recheck_chunk, lesson_id=lesson_id),
        hand_on=partial(recheck_lesson.delay, lesson_id),
        note_failure=partial(reclassifying.note_recheck_failure, lesson_id),
    )


@shared_task
def continue_lessons() -> None:
    """Pick up what lost its hint, and have what was recorded while lessons began looked at once more."""
    pick_up(Lesson.objects.all(), continue_lesson.delay)
    for lesson_id in reclassifying.settled():
        recheck_lesson.delay(lesson_id)
