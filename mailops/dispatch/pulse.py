"""Whether a loop still turns: one that doesn't, and waits for no database either, never will again."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections
from psycopg.pq import TransactionStatus

STUCK_SECONDS = 180.0  # longer than any wait for a network


class Pulse:
    """Says when a loop turned last; the loop's own thread calls `turn`, any other may ask."""

    def __init__(self) -> None:
        self._turned_at: float | None = None
        self._database = connections["default"]

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Wrap the loop; afterwards nothing turns, as it should be."""
        try:
            yield
        finally:
            self._turned_at = None

    def turn(self) -> None:
        self._turned_at = time.monotonic()
        self._database = connections["default"]

    @property
    def is_stuck(self) -> bool:
        """Whether it has stood for long without a statement under way: a lock in the database may last as long as it likes."""
        turned_at = self._turned_at
        if turned_at is None or time.monotonic() - turned_at < STUCK_SECONDS:
            return False
        raw = self._database.connection
        return raw is None or raw.info.transaction_status != TransactionStatus.ACTIVE
