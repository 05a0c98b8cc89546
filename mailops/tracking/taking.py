"""Takes calls of signed addresses without the database: nobody who follows a link waits for it.

What was called is kept in memory for half a second and then written by a thread, all at once. While the database is away
it stays there and is tried again; what a process holds when it is killed is lost, and so is what is more than `MOST`:
the link worked, its count is short.
"""

import atexit
import logging
import threading
from collections import Counter
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import Error, close_old_connections, connection

from mailops.lib.daily_counts import DailyCounts
from mailops.lib.storable import storable
from mailops.tracking.models import Hit

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.5
AWAY_SECONDS = 2.0  # until it is tried again
MOST = 20_000  # calls in memory, some 5 MB
MOST_OF_MESSAGE = 20  # between two writings; whoever calls more often says nothing new
# some 5 MB; a place that many messages share has a few hundred even where ten million are looked at
MOST_OF_DAY = 10_000
CHUNK = 2000


class _Call(NamedTuple):
    kind: str
    public_id: UUID
    link: int
    user_agent: str


class Intake:
    """Calls that wait to be written: the same call twice in half a second is one."""

    def __init__(self) -> None:
        self._mutex, self._writing = threading.Lock(), threading.Lock()
        self._came = threading.Event()
        self._waiting: dict[_Call, datetime] = {}
        self._of_message: Counter[UUID] = Counter()
        self._of_day = DailyCounts()
        self._lost = 0
        self._thread: threading.Thread | None = None

    def note(self, *, kind: Hit.Kind, public_id: UUID, link: int, user_agent: str, at: datetime) -> None:  # fmt: skip
        """Keep one call until it is written."""
        call = _Call(kind.value, public_id, link, storable(user_agent, 300))
        with self._mutex:
            is_too_much = (
                len(self._waiting) >= MOST
                or self._of_message[public_id] >= MOST_OF_MESSAGE
                or self._of_day.of(public_id) >= MOST_OF_DAY
            )
            if call not in self._waiting and is_too_much:
                self._lost += 1
                return
            if call not in self._waiting:
                self._waiting[call] = at
                self._of_message[public_id] += 1
                self._of_day.add(public_id, 1)
        self._came.set()

    def start(self) -> None:
        """Write from a thread of its own, begun in the process that takes calls."""
        with self._mutex:
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = threading.Thread(target=self._run, name="looks", daemon=True)
            self._thread.start()
        atexit.register(self.flush)

    def flush(self) -> bool:
        """Write what waits; False where the database is away, and all waits on."""
        with self._writing:
            with self._mutex:
                waiting, self._waiting = self._waiting, {}
                self._of_message.clear()
                lost, self._lost = self._lost, 0
            if lost:
                logger.warning(
                    "%d looks at mail were too many to be kept, and are not counted", lost
                )
            try:
                hits = [Hit(**call._asdict(), at=at) for call, at in waiting.items()]
                Hit.objects.bulk_create(hits, batch_size=CHUNK)
            except Error as error:
                logger.warning("looks at mail wait for the database: %s", error)
                connection.close()
                with self._mutex:
                    self._waiting = {**waiting, **self._waiting}
                return False
            return True

    def _run(self) -> None:
        while True:
            self._came.wait()
            self._came.clear()
            threading.Event().wait(FLUSH_SECONDS)
            close_old_connections()
            while not self.flush():
                threading.Event().wait(AWAY_SECONDS)


intake = Intake()
