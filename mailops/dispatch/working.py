"""A sending process as a worker: its row, and the heartbeat that says it lives (states.md, W10)."""

import os
import socket
import threading
from collections.abc import Callable

from django.conf import settings
from django.db import Error, connection
from django.db.models import F
from django.utils import timezone

from mailops.dispatch.models import Worker


class WorkerProcess:
    """Keeps one living Worker row for this process and lane; a row declared dead is replaced, never revived."""

    def __init__(self, lane: str) -> None:
        self._lane = lane
        self._worker_id = 0  # 0: none yet
        self._stopping = threading.Event()
        self._heart: threading.Thread | None = None
        self.count_sessions: Callable[[], int] = lambda: 0

    def ensure_alive(self) -> int:
        """Return the id of a living row, making one at the start and after a verdict of death."""
        worker_id = self._worker_id
        if not worker_id or not Worker.objects.alive().filter(pk=worker_id).exists():
            row = Worker.objects.create(
                lane=self._lane, host=socket.gethostname()[:253], pid=os.getpid()
            )
            self._worker_id = worker_id = row.pk
        if self._heart is None or not self._heart.is_alive():
            self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            self._heart.start()
        return worker_id

    def _beat(self) -> None:
        # A thread of its own with a connection of its own: a long render or a slow commit must not look like death.
        while not self._stopping.wait(settings.MAILOPS_HEARTBEAT_SECONDS):
            try:
                Worker.objects.alive().filter(pk=self._worker_id).update(
                    beats=F("beats") + 1, sessions=self.count_sessions()
                )
            except Error:
                connection.close()
        connection.close()

    def stop(self) -> None:
        """Say good-bye: what this process still holds goes back to the queue with the next sweep."""
        self._stopping.set()
        worker_id, self._worker_id = self._worker_id, 0
        try:
            Worker.objects.alive().filter(pk=worker_id).update(stopped_at=timezone.now())
        except Error:
            # The database is away: the heartbeat has stopped, so a sweeper finds out.
            connection.close()
