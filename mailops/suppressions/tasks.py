"""Celery shells of the suppressions, on the default queue: hints that an import has rows to work off."""

from functools import partial

from celery import shared_task

from mailops.lib.chunks import go_on, pick_up
from mailops.lib.waiting_tasks import WaitsForPeers
from mailops.suppressions import importing, keeping_in_step, taking_back
from mailops.suppressions.models import ProviderSync, SuppressionImport, TakingBack


@shared_task
def continue_suppression_import(run_id: int) -> None:
    """Work off chunks for a few seconds; hand on while there are more."""
    go_on(
        partial(importing.import_chunk, run_id=run_id),
        hand_on=partial(continue_suppression_import.delay, run_id),
        note_failure=partial(importing.note_failure, run_id),
    )


@shared_task
def continue_taking_back(run_id: int) -> None:
    """Take chunks of an import back for a few seconds; hand on while there are more."""
    go_on(
        partial(taking_back.take_back_chunk, run_id=run_id),
        hand_on=partial(continue_taking_back.delay, run_id),
        note_failure=partial(taking_back.note_failure, run_id),
    )


@shared_task
def continue_suppression_imports() -> None:
    """Pick up imports, and what takes them back, whose hint was lost."""
    pick_up(SuppressionImport.objects.all(), continue_suppression_import.delay)
    pick_up(TakingBack.objects.all(), continue_taking_back.delay)


@shared_task
def forget_old_accounts() -> None:
    """Drop the rows of imports that are too old to be asked after; hand on while there are more."""
    if importing.forget_old_accounts():
        forget_old_accounts.delay()


@shared_task
def keep_lists_in_step() -> None:
    """Hint that providers' lists are due, one task each: a provider that doesn't answer holds up its own alone."""
    for sync_id in ProviderSync.objects.due().values_list("pk", flat=True):
        continue_sync.delay(sync_id)


@shared_task(base=WaitsForPeers)
def continue_sync(sync_id: int) -> None:
    """Go on with one provider's list for half a minute; hand on while there is more."""
    if keeping_in_step.run(sync_id):
        continue_sync.delay(sync_id)
