import gc
from unittest.mock import Mock

import pytest
from celery.signals import worker_ready

from mailops.dispatch import hearing, tasks
from mailops.dispatch.pulse import Pulse
from mailops.outbox import tokens


@pytest.fixture
def paths():
    tokens.unsubscribe_path.cache_clear()
    yield tokens.unsubscribe_path.cache_info
    gc.unfreeze()


def consumer_of(queues):
    return Mock(**{"app.amqp.queues.consume_from": dict.fromkeys(queues)})


@pytest.mark.parametrize(
    ("queues", "imports"), [(["transactional"], 1), (["housekeeping", "bulk"], 1), (["housekeeping"], 0)]
)  # fmt: skip
def test_sending_workers_import_all_addresses_before_the_first_message(paths, queues, imports):
    worker_ready.send(sender=consumer_of(queues))
    assert paths().misses == imports


@pytest.mark.parametrize("was_turning", [True, False])
def test_the_loop_that_calls_a_run_is_waited_for_anew_afterwards(monkeypatch, was_turning):
    """A run through five minutes without a database was taken for a loop that stands still as long."""
    heard, seen = Pulse(), []

    def run():
        seen.append(heard.is_at_rest)
        return True

    monkeypatch.setattr(hearing, "pulse", heard)
    monkeypatch.setattr(tasks, "_delivery_of", lambda _: Mock(run=run))
    monkeypatch.setattr(tasks, "hint", lambda _: seen.append(heard.is_at_rest))
    if was_turning:
        heard.turn()
        began_at = heard._turned_at
    tasks.deliver("bulk")
    assert seen == [True, not was_turning]
    assert not was_turning or heard._turned_at > began_at
