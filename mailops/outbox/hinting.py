"""Hints to a lane's workers that something is due: never the truth, since every tick finds what lost its hint."""

import logging
import time
from functools import partial
from threading import Lock, Thread

from celery import current_app
from django.db import transaction

from mailops.lib.hints import only_hinting

logger = logging.getLogger(__name__)

HINT_SECONDS = 30  # a hint this old says nothing new
# A worker that found something goes on looking for this long, so a lane needs no second hint sooner.
REST_SECONDS = 0.5

_lock = Lock()
_hinted: dict[str, bool] = {}  # lanes of which a thread hints → whether one more was asked for


def hint(lane: str, *, workers: int = 1) -> None:
    """Hint to as many of the lane's workers; one that finds nothing to do is done in a moment."""
    for _ in range(workers):
        send("dispatch.deliver", lane, queue=lane)


def send(task: str, *arguments: str, queue: str) -> None:
    """Send a task that only hurries what a tick does anyway; a broker that is away is nobody's fault."""
    with only_hinting():
        current_app.send_task(task, args=arguments, queue=queue, expires=HINT_SECONDS, retry=False)


def hint_after_commit(lane: str) -> None:
    """Hint to the lane once what it should find is committed, without waiting for the broker."""
    transaction.on_commit(partial(hint_soon, lane), robust=True)


def hint_soon(lane: str) -> Thread | None:
    """Hint from a thread of its own, since a broker that is away takes seconds to say so; return a new thread."""
    with _lock:
        if lane in _hinted:
            _hinted[lane] = True
            return None
        _hinted[lane] = False
    thread = Thread(target=_hint_and_rest, args=[lane], name=f"hint-{lane}", daemon=True)
    try:
        thread.start()
    except Exception:  # no room for it: the next one is asked for anew
        with _lock:
            del _hinted[lane]
        raise
    return thread


def _hint_and_rest(lane: str) -> None:
    is_wanted = True
    while is_wanted:
        try:
            hint(lane)
        except Exception:
            logger.exception("a hint failed; the next tick finds what is due")
        time.sleep(REST_SECONDS)
        with _lock:
            if is_wanted := _hinted.pop(lane):
                _hinted[lane] = False
