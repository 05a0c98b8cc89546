"""Celery's clock of periodic tasks, made to go on where the machine's clock was put back, or its disk is full."""

import errno
import logging
import shelve
from typing import Any

from celery.beat import PersistentScheduler

logger = logging.getLogger(__name__)

_NO_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO}


class Scheduler(PersistentScheduler):  # type: ignore[misc]
    """A task that last ran in the future is taken to have run now: else it would wait until that time comes again."""

    def _open_schedule(self) -> Any:
        """Open the file that says what ran when; without a disk to write it on, that is kept in memory."""
        try:
            return super()._open_schedule()
        except OSError as error:
            if error.errno not in _NO_DISK:
                raise  # what can't be read is made anew
            logger.error(  # noqa: TRY400 - the system's words say it all
                "%s can't be opened (%s): what ran last is forgotten when beat ends",
                self.schedule_filename,
                error,
            )
            return shelve.Shelf({}, writeback=True)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        ahead = [entry for entry in self.schedule.values() if entry.last_run_at > self.app.now()]
        for entry in ahead:
            entry.last_run_at = self.app.now()
        if ahead:
            self._heap = None  # it holds the times of the old clock
        return float(super().tick(*args, **kwargs))
