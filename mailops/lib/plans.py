"""Keeps PostgreSQL from plans that are cheap only by statistics of a moment ago."""

from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func, QuerySet


def join_without_merging(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Switch merge joins off for a connection that was just opened.

    Where the ids of two tables don't meet by their statistics, such a join is taken to end at once. Newer ids do meet, and
    it walks through all of an index, each time: one such plan of the statement that accepts made sending four times slower.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET enable_mergejoin = off")


def is_any(field: str, query: QuerySet[Any, Any]) -> Func:
    """Return the condition that `field` is a value of `query`, which is read first.

    `field__in` leaves the order to PostgreSQL. By statistics from before a table was filled it reads that whole, and asks
    the query for each of its rows.
    """
    read = Func(ArraySubquery(query), function="ANY")
    return Func(
        F(field), read, template="%(expressions)s", arg_joiner=" = ", output_field=BooleanField()
    )
