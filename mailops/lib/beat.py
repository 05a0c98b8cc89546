"""Celery's clock of periodic tasks, made to go on where the machine's clock was put back."""

from typing import Any

from celery.beat import PersistentScheduler


class Scheduler(PersistentScheduler):  # type: ignore[misc]
    """A task that last ran in the future is taken to have run now: else it would wait until that time comes again."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        ahead = [entry for entry in self.schedule.values() if entry.last_run_at > self.app.now()]
        for entry in ahead:
            entry.last_run_at = self.app.now()
        if ahead:
            self._heap = None  # it holds the times of the old clock
        return float(super().tick(*args, **kwargs))
