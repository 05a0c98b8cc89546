"""Lets somebody else act while a test is in the middle of a transaction."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection


def _somebody_waits_for_this_transaction():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid"
        )
        return cursor.fetchone()[0]


@pytest.fixture
def meanwhile():
    """Return a function that begins a call in a process of its own, and waits until it waits for this one."""

    def call(verb, **given):
        def call_and_close():
            try:
                return verb(**given)
            finally:
                connection.close()

        result = pool.submit(call_and_close)
        while not (result.done() or _somebody_waits_for_this_transaction()):
            pass
        return result

    with ThreadPoolExecutor(1) as pool:
        yield call
