"""What lost a deadlock is done again, and nothing else."""

import pytest
from django.db import OperationalError
from psycopg import errors

from mailops.lib.locks import TIMES, despite_deadlocks


class Act:
    """Is broken off by each of `causes` in turn, then done."""

    def __init__(self, *causes):
        self.causes, self.times = list(causes), 0

    def __call__(self):
        self.times += 1
        if self.causes:
            raise OperationalError from self.causes.pop(0)
        return "done"


def test_what_lost_a_deadlock_is_done_again():
    assert despite_deadlocks(Act(errors.DeadlockDetected())) == "done"


def test_what_loses_one_after_the_other_is_given_up():
    act = Act(*[errors.DeadlockDetected()] * 9)
    with pytest.raises(OperationalError):
        despite_deadlocks(act)
    assert act.times == TIMES


@pytest.mark.parametrize("cause", [errors.AdminShutdown(), errors.DiskFull()])
def test_what_failed_otherwise_is_not(cause):
    act = Act(cause)
    with pytest.raises(OperationalError):
        despite_deadlocks(act)
    assert act.times == 1
