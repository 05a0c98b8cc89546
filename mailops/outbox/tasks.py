"""Celery shells of the ledger: hints that a person's act on many has messages left, or a relay's log lines."""

from functools import partial

from celery import shared_task

from mailops.lib.chunks import go_on, pick_up
from mailops.outbox import bulk_settling, relay_log_reading, resending
from mailops.outbox.models import RelayLog, Resending, Settlement
from mailops.outbox.relay_log_taking import forget_old
from mailops.outbox.sightings import fold_sightings

LOG_BUDGET_SECONDS = 20.0  # a packed log is unpacked from its beginning by each


@shared_task
def continue_settlement(settlement_id: int) -> None:
    """Settle chunks for a few seconds; hand on while there are more."""
    go_on(
        partial(bulk_settling.settle_chunk, settlement_id=settlement_id),
        hand_on=partial(continue_settlement.delay, settlement_id),
        note_failure=partial(bulk_settling.note_failure, settlement_id),
    )


@shared_task
def continue_resending(resending_id: int) -> None:
    """Queue chunks for a few seconds; hand on while there are more."""
    go_on(
        partial(resending.resend_chunk, resending_id=resending_id),
        hand_on=partial(continue_resending.delay, resending_id),
        note_failure=partial(resending.note_failure, resending_id),
    )


@shared_task
def continue_relay_log(log_id: int) -> None:
    """Read chunks of a log for some seconds; hand on while there are more."""
    reading = relay_log_reading.Reading(log_id)
    go_on(
        reading.read_chunk,
        hand_on=partial(continue_relay_log.delay, log_id),
        note_failure=partial(relay_log_reading.note_failure, log_id),
        seconds=LOG_BUDGET_SECONDS,
    )


@shared_task
def continue_settling() -> None:
    """Pick up what lost its hint."""
    pick_up(Settlement.objects.all(), continue_settlement.delay)
    pick_up(Resending.objects.all(), continue_resending.delay)
    pick_up(RelayLog.objects.all(), continue_relay_log.delay)


@shared_task
def forget_old_relay_logs() -> None:
    """Delete what logs said a week ago: they hold people's addresses."""
    forget_old()


@shared_task
def count_replies() -> None:
    """Fold what was noted of replies into the counts of their signatures."""
    fold_sightings()
