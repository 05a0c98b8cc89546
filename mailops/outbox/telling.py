"""Records a person's word on one message together with the audit trail's entry of it: both are kept, or neither."""

from collections.abc import Callable
from functools import partial

from django.db import transaction

from mailops.lib.locks import despite_deadlocks
from mailops.outbox.recording import Outcome, Recorded, record


def record_and_tell(outcome: Outcome, tell: Callable[[Recorded], object]) -> Recorded:
    """Record `outcome` and, where it counts, `tell` of it in the same transaction; outermost callers only."""
    return despite_deadlocks(partial(_once, outcome, tell))


@transaction.atomic
def _once(outcome: Outcome, tell: Callable[[Recorded], object]) -> Recorded:
    (recorded,) = record([outcome])
    if recorded.was_applied:
        tell(recorded)
    return recorded
