"""Runs a Celery worker with a profiler in each of its threads, which counts the thread's own processor time."""

import cProfile
import io
import os
import pstats
import sys
import threading
import time
from pathlib import Path
from typing import Any

from celery.bin.celery import main
from celery.signals import task_postrun, task_prerun

_of_tasks = cProfile.Profile(time.thread_time)
_of_threads: list[cProfile.Profile] = []


class _ProfiledThread(threading.Thread):
    def run(self) -> None:
        profile = cProfile.Profile(time.thread_time)
        _of_threads.append(profile)
        profile.runcall(super().run)


def _begin(**_: Any) -> None:
    _of_tasks.enable()


def _end(**_: Any) -> None:
    _of_tasks.disable()


def _write(file: Path, lines: int) -> None:
    """Write the functions that cost most, over all threads, by themselves and with what they call."""
    out = io.StringIO()
    stats = pstats.Stats(_of_tasks, stream=out)
    for profile in _of_threads:
        stats.add(profile)
    for order in ("tottime", "cumulative"):
        stats.sort_stats(order).print_stats(lines)
    file.write_text(out.getvalue())
    stats.dump_stats(file.with_suffix(".pstats"))


if __name__ == "__main__":
    threading.Thread = _ProfiledThread  # type: ignore[misc]
    task_prerun.connect(_begin)
    task_postrun.connect(_end)
    sys.argv[0] = "celery"
    try:
        main()
    finally:
        _write(Path(os.environ["BENCH_PROFILE"]), lines=40)
