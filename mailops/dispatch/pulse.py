"""Whether a loop still turns: one that doesn't, and waits for no database either, never will again."""

import faulthandler
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from django.db import connections
from psycopg.pq import TransactionStatus

STUCK_SECONDS = 180.0  # longer than any wait for a network
HUNG_SECONDS = 15.0  # longer than anything takes that waits for nothing outside the process


class Pulse:
    """Says when a loop turned last; the loop's own thread calls `turn`, any other may ask."""

    def __init__(self) -> None:
        self._turned_at: float | None = None
        self._is_brief = False
        self._database = connections["default"]

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Wrap the loop; afterwards nothing turns, as it should be."""
        try:
            yield
        finally:
            self.rest()

    def rest(self) -> None:
        self._turned_at = None

    @property
    def is_at_rest(self) -> bool:
        return self._turned_at is None

    def turn(self) -> None:
        self._turned_at = time.monotonic()
        self._database = connections["default"]

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Wrap what is done in no time or never: the start of a thread that gets no memory waits for it for ever."""
        self.turn()
        self._is_brief = True
        try:
            yield
        finally:
            self._is_brief = False

    @property
    def is_stuck(self) -> bool:
        """Whether it has stood for long without a statement under way: a lock in the database may last as long as it likes."""
        turned_at, patience = self._turned_at, HUNG_SECONDS if self._is_brief else STUCK_SECONDS
        if turned_at is None or time.monotonic() - turned_at < patience:
            return False
        raw = self._database.connection
        return raw is None or raw.info.transaction_status != TransactionStatus.ACTIVE


def start_unwatched(thread: Thread, *, within: float = HUNG_SECONDS) -> None:
    """Start what is to watch the others; where that is not done `within` seconds, this process ends."""
    faulthandler.dump_traceback_later(within, exit=True, file=2)
    try:
        thread.start()
    finally:
        faulthandler.cancel_dump_traceback_later()
