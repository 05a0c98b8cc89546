"""Work in chunks: which failures count against the work itself."""

import psycopg
import pytest
from django.db import OperationalError

from mailops.lib.chunks import go_on


@pytest.mark.parametrize(
    ("cause", "counts"),
    [
        (psycopg.errors.QueryCanceled(), True),
        (psycopg.errors.ProgramLimitExceeded(), True),
        (psycopg.errors.ConfigurationLimitExceeded(), True),
        (psycopg.errors.AdminShutdown(), False),
        (psycopg.errors.DiskFull(), False),
        (psycopg.errors.OutOfMemory(), False),
        (psycopg.errors.DeadlockDetected(), False),
        (psycopg.errors.LockNotAvailable(), False),
        (None, False),  # nothing answered
    ],
)
def test_only_what_comes_of_the_work_counts_against_it(cause, counts):
    def chunk():
        raise OperationalError from cause

    noted = []
    with pytest.raises(OperationalError):
        go_on(chunk, hand_on=lambda: None, note_failure=noted.append)
    assert bool(noted) == counts
