import tracemalloc

import pytest
from django.db import connection

from mailops.outbox.ledger import fetch_prepared

pytestmark = pytest.mark.django_db


def prepared():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE %s",
            ["%'only here'%"],
        )
        return cursor.fetchall()


def test_hot_statements_keep_their_plan_and_django_prepares_none():
    for number in range(9):
        assert fetch_prepared("SELECT 'only here', %s::int", [number]) == [("only here", number)]
        with connection.cursor() as cursor:
            cursor.execute("SELECT 'only here', %s::int + 1", [number])
    assert prepared() == [(4, 5)]  # the server compares five plans with the one it could keep


def test_what_django_sends_is_not_kept_in_memory():
    secret = "told once " * 50_000
    fetch_prepared("SELECT 'only here', %s::int", [1])
    tracemalloc.start()
    for number in range(20):
        with connection.cursor() as cursor:
            cursor.execute("SELECT length(%s), %s::int", [secret, number])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 3 * len(secret)  # the last one's arguments, and not those of twenty
