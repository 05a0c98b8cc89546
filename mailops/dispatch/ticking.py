"""What every tick does: sweeps and completion, and whom to tell of work: the lanes, and the expansion beside it."""

import logging

from mailops.dispatch.completion import complete_finished
from mailops.dispatch.sweeping import (
    DeathWatch,
    sweep_claims_of_the_gone,
    sweep_newly_suppressed,
)
from mailops.lib.locks import session_lock
from mailops.outbox.canceling import sweep_canceled
from mailops.outbox.ledger import fetch_dicts

logger = logging.getLogger(__name__)

# Close what must not leave any more, settle what the gone held, complete campaigns.
STEPS = (
    sweep_canceled,
    sweep_newly_suppressed,
    sweep_claims_of_the_gone,
    complete_finished,
)

_death_watch = DeathWatch()


def tick() -> dict[str, int]:
    """Do one tick's work, unless another process is at it; return who should hear that there is work, as `hearers()`."""
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
    """Return each lane that has work, with how many workers live there, but at least one: the first has no row yet.

    Work is a due entry, or a claimed one, whose worker may wait for a run to write its result.
    """
    rows = fetch_dicts(
        """
        SELECT lane, greatest(1, (SELECT count(*) FROM dispatch_worker w
                                   WHERE w.lane = l.lane AND w.dead_at IS NULL AND w.stopped_at IS NULL)) AS workers
          FROM (VALUES ('transactional'), ('bulk')) AS l(lane)
         WHERE EXISTS (SELECT FROM transports_stream s JOIN outbox_queueentry e ON e.stream_id = s.id
                        WHERE s.kind = l.lane AND e.worker_id IS NULL AND NOT e.is_held
                          AND e.due_at <= clock_timestamp()
                          AND (e.closes_at IS NULL OR e.closes_at > clock_timestamp()))
            OR EXISTS (SELECT FROM outbox_queueentry e WHERE e.lane = l.lane AND e.worker_id IS NOT NULL)
        """,
        [],
    )
    return {row["lane"]: row["workers"] for row in rows}
