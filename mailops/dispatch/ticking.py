"""What every tick does: sweeps and completion, and whom to tell of work: the lanes, and the expansion beside it."""

import logging
from collections import Counter

from mailops.dispatch.completion import complete_finished
from mailops.dispatch.crowding import raise_sessions
from mailops.dispatch.models import Worker
from mailops.dispatch.pressure import feel_pressure
from mailops.dispatch.restoring import memory
from mailops.dispatch.sweeping import (
    DeathWatch,
    sweep_claims_of_the_gone,
    sweep_newly_suppressed,
)
from mailops.lib.locks import session_lock
from mailops.outbox.canceling import sweep_canceled
from mailops.outbox.models import QueueEntry
from mailops.outbox.queues import due_queues
from mailops.transports.models import Stream

logger = logging.getLogger(__name__)

# Close what must not leave any more, settle what the gone held, complete campaigns, send less where a reply asks for it.
STEPS = (
    sweep_canceled,
    sweep_newly_suppressed,
    sweep_claims_of_the_gone,
    complete_finished,
    feel_pressure,
    raise_sessions,
)

_death_watch = DeathWatch()


def tick() -> dict[str, int]:
    """Do one tick's work, unless another process is at it; return who should hear that there is work, as `hearers()`."""
    memory.look_if_it_went_back()
    _death_watch.look()
    with session_lock("dispatch.tick") as is_ours:
        if is_ours:
            take_steps()
    return hearers()


def take_steps() -> None:
    """Take every step, also when one before it fails; the next tick tries that one again."""
    for step in STEPS:
        try:
            step()
        except Exception:
            logger.exception("the tick's step %s failed", step.__name__)


def hearers() -> dict[str, int]:
    """Return each lane that has work, with how many workers live there and one more: a new one has no row yet.

    Work is a due entry, or a claimed one, whose worker may wait for a run to write its result.
    """
    streams = dict(Stream.objects.running().values_list("pk", "kind"))
    lanes = {streams[queue.stream] for queue in due_queues(list(streams))}
    # in the order of its small index: `exists()` lets PostgreSQL read the whole queue for one that it thinks is near
    claimed = QueueEntry.objects.exclude(worker_id=None).order_by("worker_id")
    lanes |= {lane for lane in set(QueueEntry.Lane) - lanes if claimed.filter(lane=lane).first()}
    living = Counter(Worker.objects.alive().values_list("lane", flat=True))
    return {str(lane): living[lane] + 1 for lane in lanes}
