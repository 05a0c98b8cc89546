"""Keeps PostgreSQL from plans that are cheap only by statistics of a moment ago."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


def join_without_merging(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Switch merge joins off for a connection that was just opened.

    Where the ids of two tables don't meet by their statistics, such a join is taken to end at once. Newer ids do meet, and
    it walks through all of an index, each time: one such plan of the statement that accepts made sending four times slower.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET enable_mergejoin = off")
