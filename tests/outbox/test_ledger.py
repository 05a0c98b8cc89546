import tracemalloc

import pytest
from django.db import connection

from mailops.outbox.ledger import fetch_by_index, fetch_prepared
from tests.factories import make_message

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


@pytest.mark.django_db(transaction=True)
def test_statements_that_name_their_rows_keep_their_first_plan():
    connection.close()
    for number in range(9):
        assert fetch_by_index("SELECT 'only here', %s::int", [number]) == [("only here", number)]
    assert prepared() == [(9, 0)]
    connection.close()


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


def test_statistics_hold_no_merge_data():
    make_message()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE outbox_message")
        cursor.execute("SELECT attname FROM pg_stats WHERE tablename = 'outbox_message'")
        sampled = {name for (name,) in cursor.fetchall()}
    assert "status" in sampled
    assert "merge_data" not in sampled
