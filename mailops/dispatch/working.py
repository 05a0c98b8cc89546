"""A sending process as a worker: its row, and the heartbeat that says it lives (states.md, W10)."""

import logging
import os
import socket
import threading
from collections.abc import Callable

from django.conf import settings
from django.db import Error, connection
from django.db.models import F, QuerySet
from django.utils import timezone

from mailops.dispatch import restoring
from mailops.dispatch.epochs import epoch
from mailops.dispatch.models import Worker
from mailops.dispatch.pulse import start_unwatched
from mailops.outbox.ledger import draw_fence

logger = logging.getLogger(__name__)


class WorkerProcess:
    """Keeps one living Worker row for this process and lane; a row declared dead is replaced, never revived."""

    def __init__(self, lane: str) -> None:
        self._lane = lane
        self._row: Worker | None = None  # as the database is known to have it
        self._stopping = threading.Event()
        self._heart: threading.Thread | None = None
        self.count_sessions: Callable[[], int] = lambda: 0
        self.count_logins: Callable[[], dict[int, int]] = dict  # credential → sessions
        self.is_stuck: Callable[[], bool] = lambda: False

    def ensure_alive(self) -> int:
        """Return the id of a living row, making one at the start and after a verdict of death.

        A database that was restored has no row of this process, or one that knows less than it should.
        """
        row = self._row
        if row is None or not _as_told(row).exists():
            restoring.look()
            row = self._row = Worker.objects.create(
                lane=self._lane,
                host=socket.gethostname()[:253],
                pid=os.getpid(),
                fence=epoch.committed,
            )
        self.start_heart()
        return row.pk

    def start_heart(self) -> None:
        """Have it watched that this process goes on, and told that it lives once it has a row; asks no database."""
        if self._heart is None or not self._heart.is_alive():
            self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            start_unwatched(self._heart)

    def _beat(self) -> None:
        # A thread of its own with a connection of its own: a long render or a slow commit must not look like death.
        was_stuck = False
        while not self._stopping.wait(settings.MAILOPS_HEARTBEAT_SECONDS):
            try:
                is_stuck = self.is_stuck()
                if is_stuck and was_stuck:  # once, it may just have been frozen with all else
                    _end()
                was_stuck = is_stuck
                self.beat()
            except Error:
                connection.close()
            except Exception:  # no memory, say: nobody else would see that the others stand still
                logger.exception("a heartbeat was left out")
                connection.close()
        connection.close()

    def beat(self) -> None:
        """Say that this process lives and what it has claimed, in the database and then in the file outside of it.

        A row that knows less than it was told came from a backup: it stays as it is, for whoever looks next.
        """
        row = self._row
        if row is None:
            return
        sessions = self.count_sessions()
        if sessions:  # what was claimed before a backup may leave behind it: the fence shows that time went on
            epoch.note_drawn(draw_fence())
        claimed = epoch.claimed
        told = _as_told(row).update(
            beats=F("beats") + 1, sessions=sessions, logins=self.count_logins(), fence=claimed
        )
        if told:
            row.fence = claimed
        if told and claimed > epoch.committed:
            epoch.note_commit(claimed)

    def stop(self) -> None:
        """Say good-bye: what this process still holds goes back to the queue with the next sweep."""
        self._stopping.set()
        row, self._row = self._row, None
        if row is None:
            return
        try:
            Worker.objects.alive().filter(pk=row.pk).update(stopped_at=timezone.now())
        except Error:
            # The database is away: the heartbeat has stopped, so a sweeper finds out.
            connection.close()


def _as_told(row: Worker) -> QuerySet[Worker]:
    """Return the row while it lives and knows the fence that this process told it; the heart may tell it more meanwhile."""
    return Worker.objects.alive().filter(pk=row.pk, pid=os.getpid(), fence__gte=row.fence)


def _end() -> None:
    """End this process at once: it lives and delivers nothing. The supervisor starts another, the sweep settles its claims."""
    logger.critical(
        "This sending process stands still and would never go on; it ends itself, to be started again."
    )
    os._exit(1)
