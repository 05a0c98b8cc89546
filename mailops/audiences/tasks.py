"""Celery shells of the audiences: hints that an import has rows to read."""

from time import monotonic

from celery import shared_task
from django.db import OperationalError, transaction

from mailops.audiences import curating, importing, uploading
from mailops.audiences.models import Import

BUDGET_SECONDS = 6.0  # then the task hands on to a new one, so that none blocks its queue


@shared_task
def continue_import(run_id: int) -> None:
    """Import chunks for a few seconds; hand on while there are more."""
    stop_at = monotonic() + BUDGET_SECONDS
    try:
        while importing.import_chunk(run_id=run_id):
            if monotonic() > stop_at:
                continue_import.delay(run_id)
                return
        for run in Import.objects.filter(pk=run_id, state=Import.State.COMPLETED):
            count_attributes.delay(run.audience_id)
    except (
        OperationalError
    ):  # the database is away or chose a deadlock's victim: the tick comes again
        raise
    except Exception as error:
        importing.note_failure(run_id=run_id, error=error)
        raise


@shared_task
def continue_imports() -> None:
    """Pick up imports whose hint was lost; the import's row lock keeps doubles out."""
    for run_id in Import.objects.running().values_list("pk", flat=True):
        continue_import.delay(run_id)


@shared_task
def drop_forgotten_uploads() -> None:
    """Delete uploads that nobody went on with."""
    uploading.drop_forgotten()


@shared_task
def count_attributes(audience_id: int) -> None:
    """Count which attributes the members have."""
    curating.count_attributes(audience_id=audience_id)


def count_soon(audience_id: int) -> None:
    """Have the attributes counted once the change is committed."""
    transaction.on_commit(lambda: count_attributes.delay(audience_id), robust=True)
