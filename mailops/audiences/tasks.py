"""Celery shells of the audiences: hints that an import has rows to read."""

from functools import partial

from celery import shared_task
from django.db import transaction

from mailops.audiences import clearing, curating, deleting, importing, uploading
from mailops.audiences.models import Import
from mailops.lib.chunks import go_on, pick_up


@shared_task
def continue_import(run_id: int) -> None:
    """Import chunks for a few seconds; hand on while there are more."""
    is_over = go_on(
        partial(importing.import_chunk, run_id=run_id),
        hand_on=partial(continue_import.delay, run_id),
        note_failure=partial(importing.note_failure, run_id),
    )
    if is_over:
        _count_changed()
        clear_import.delay(run_id)


@shared_task
def continue_imports() -> None:
    """Pick up imports whose hint was lost, then count what they changed."""
    pick_up(Import.objects.all(), continue_import.delay)
    _count_changed()
    for run_id in clearing.uncleared():
        clear_import.delay(run_id)


def _count_changed() -> None:
    for audience_id in curating.audiences_to_count():
        count_attributes.delay(audience_id)


@shared_task
def clear_import(run_id: int) -> None:
    """Delete the next rows that an import left; hand on while there are more."""
    if clearing.clear_chunk(run_id=run_id):
        clear_import.delay(run_id)


@shared_task
def drop_forgotten_uploads() -> None:
    """Delete uploads that nobody went on with."""
    uploading.drop_forgotten()


@shared_task
def forget_old_remarks() -> None:
    """Drop the rows of imports that are too old to be asked after; hand on while there are more."""
    if importing.forget_old_remarks():
        forget_old_remarks.delay()


@shared_task
def delete_rest(audience_id: int) -> None:
    """Delete chunks of a deleted audience for a few seconds; hand on while there are more."""
    go_on(
        partial(deleting.delete_chunk, audience_id=audience_id),
        hand_on=partial(delete_rest.delay, audience_id),
        note_failure=partial(deleting.note_failure, audience_id),
    )


@shared_task
def delete_rests() -> None:
    """Pick up deleted audiences whose hint was lost (the audience's row lock keeps doubles out)."""
    for audience_id in deleting.half_deleted():
        delete_rest.delay(audience_id)


def delete_soon(audience_id: int) -> None:
    """Have what was in an audience deleted once its own deletion is committed."""
    transaction.on_commit(lambda: delete_rest.delay(audience_id), robust=True)


@shared_task
def count_attributes(audience_id: int) -> None:
    """Count which attributes the members have."""
    curating.count_attributes(audience_id=audience_id)


def count_soon(audience_id: int) -> None:
    """Have the attributes counted once the change is committed."""
    transaction.on_commit(lambda: count_attributes.delay(audience_id), robust=True)
