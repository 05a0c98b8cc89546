"""The database's clock, by which all processes go: those of their machines may differ."""

from datetime import datetime
from typing import cast

from django.db import connection, models


class ClockTimestamp(models.Func):
    """The present moment in a statement; `Now()` is the beginning of its transaction."""

    template = "clock_timestamp()"
    output_field = models.DateTimeField()


def database_now() -> datetime:
    """Return the present moment by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cast("datetime", cursor.fetchone()[0])
