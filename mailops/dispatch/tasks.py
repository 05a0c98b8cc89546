"""Celery's way in: hints that there is work, never the work itself."""

import gc
from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutdown
from celery.worker import state

from mailops.dispatch import hearing
from mailops.dispatch.delivery import Delivery
from mailops.dispatch.expansion import expand_for_a_while, has_unexpanded
from mailops.dispatch.restoring import memory
from mailops.dispatch.sweeping import keep_hours_for_a_while
from mailops.dispatch.sweeping import sweep_queue as do_sweep_queue
from mailops.dispatch.ticking import tick as do_tick
from mailops.dispatch.working import WorkerProcess
from mailops.outbox import tokens
from mailops.outbox.hinting import hint, send
from mailops.transports.models import Stream

_running: dict[str, tuple[WorkerProcess, Delivery]] = {}


@worker_ready.connect
def _import_what_mail_needs(sender: Any, **_: Any) -> None:
    """Have a sending worker do before its first message what would take that half a second."""
    if set(Stream.Kind.values) & set(sender.app.amqp.queues.consume_from):
        tokens.unsubscribe_path()  # has Django import all addresses
        gc.freeze()  # what was imported for good is not looked through with every collection


def _is_stopping() -> bool:
    return state.should_stop is not None or state.should_terminate is not None


def _delivery_of(lane: str) -> Delivery:
    if lane not in _running:
        worker = WorkerProcess(lane)
        delivery = Delivery(worker, lane, should_stop=_is_stopping, hearing=hearing.pulse)
        _running[lane] = worker, delivery
    return _running[lane][1]


@shared_task(name="dispatch.deliver")
def deliver(lane: str) -> None:
    # until Celery's loop turns again: a run has a pulse of its own, and what follows waits for a broker that is away
    hearing.pulse.rest()
    if _delivery_of(lane).run():
        hint(lane)


@shared_task(name="dispatch.tick")
def tick() -> None:
    for lane, workers in do_tick().items():
        hint(lane, workers=workers)
    if has_unexpanded():
        _go_on_expanding()


@shared_task(name="dispatch.expand")
def expand() -> None:
    """Make the rows of campaigns that were launched, beside the ticks; hand on while there are more."""
    if expand_for_a_while():
        _go_on_expanding()


def _go_on_expanding() -> None:
    send("dispatch.expand", queue="housekeeping")


@shared_task(name="dispatch.keep_hours")
def keep_hours() -> None:
    """Move what its hours left behind to the next ones, and begin anew the time of what was resumed; hand on for more."""
    if keep_hours_for_a_while():
        send("dispatch.keep_hours", queue="housekeeping")


@shared_task(name="dispatch.sweep_queue")
def sweep_queue() -> None:
    memory.look_if_it_went_back()
    do_sweep_queue()


@worker_shutdown.connect
def _say_goodbye(**_: Any) -> None:
    for worker, delivery in _running.values():
        try:
            delivery.finish()
        finally:
            worker.stop()
