"""The database's clock, by which all processes go: those of their machines may differ, and are told where they do."""

import logging
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

from django.db import Error, connection, models

logger = logging.getLogger(__name__)

MOST_APART = 10.0  # seconds; a hint is worth something for thirty
ASK_SECONDS = 60.0


class ClockTimestamp(models.Func):
    """The present moment in a statement; `Now()` is the beginning of its transaction."""

    template = "clock_timestamp()"
    output_field = models.DateTimeField()


def database_now() -> datetime:
    """Return the present moment by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cast("datetime", cursor.fetchone()[0])


def tell_of_wrong_clock(**_: Any) -> None:
    """Say that this machine's clock is wrong where it is, at most once a minute; a receiver of Celery's signals.

    Celery has no other words for it: until when a hint is worth something is said by its sender's clock, so by one that is
    ahead of that, each comes too late, and nothing is done.
    """
    _tell_of_wrong_clock(int(time.monotonic() // ASK_SECONDS))


@lru_cache(maxsize=1)
def _tell_of_wrong_clock(_minute: int) -> None:
    try:
        ahead = (datetime.now(UTC) - database_now()).total_seconds()
    except Error:
        return
    if abs(ahead) > MOST_APART:
        logger.error(
            "The clock of this machine is %.0f s %s the database's. Hints that there is something to do count as too "
            "old by it, so mail waits. Have NTP set it, then start mailops here again.",
            abs(ahead),
            "ahead of" if ahead > 0 else "behind",
        )
