"""Keeps PostgreSQL from plans that are cheap only by statistics of a moment ago."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func, QuerySet


def join_without_merging(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Switch merge joins off for a connection that was just opened.

    Where the ids of two tables don't meet by their statistics, such a join is taken to end at once. Newer ids do meet, and
    it walks through all of an index, each time: one such plan of the statement that accepts made sending four times slower.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET enable_mergejoin = off")


@contextmanager
def joining_whole_tables(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Wrap a statement that reads whole tables, in a transaction: none is read once for each row of another.

    Where a vacuum saw a table empty a moment before it was filled, that looks cheap by its statistics, and never ends.
    """
    with transaction.atomic(connection.alias), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
        yield
        cursor.execute("SET LOCAL enable_nestloop TO DEFAULT")


def is_any(field: str, query: QuerySet[Any, Any]) -> Func:
    """Return the condition that `field` is a value of `query`, which is read first.

    `field__in` leaves the order to PostgreSQL. By statistics from before a table was filled it reads that whole, and asks
    the query for each of its rows.
    """
    read = Func(ArraySubquery(query), function="ANY")
    return Func(
        F(field), read, template="%(expressions)s", arg_joiner=" = ", output_field=BooleanField()
    )
