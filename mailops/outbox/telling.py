"""Records a person's word on one message together with the audit trail's entry of it: both are kept, or neither."""

from collections.abc import Callable

from django.db import OperationalError, transaction

from mailops.lib.database_away import is_away, will_pass
from mailops.outbox.recording import Outcome, Recorded, record

TIMES = 3  # that it is tried where a deadlock with another recorder was broken


def record_and_tell(outcome: Outcome, tell: Callable[[Recorded], object]) -> Recorded:
    """Record `outcome` and, where it counts, `tell` of it in the same transaction; outermost callers only."""
    for _ in range(TIMES - 1):
        try:
            return _once(outcome, tell)
        except OperationalError as error:
            if is_away(error) or not will_pass(error):
                raise
    return _once(outcome, tell)


@transaction.atomic
def _once(outcome: Outcome, tell: Callable[[Recorded], object]) -> Recorded:
    (recorded,) = record([outcome])
    if recorded.was_applied:
        tell(recorded)
    return recorded
