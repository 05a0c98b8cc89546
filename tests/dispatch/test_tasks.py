import gc
from unittest.mock import Mock

import pytest
from celery.signals import worker_ready

from mailops.dispatch import hearing, tasks
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


def test_while_the_broker_is_waited_for_nothing_stands_still(monkeypatch):
    """Sent where the broker is away, a hint waits for it: five minutes were taken for a loop that never goes on."""
    rested = []
    monkeypatch.setattr(tasks, "_delivery_of", lambda _: Mock(**{"run.return_value": True}))
    monkeypatch.setattr(tasks, "hint", lambda _: rested.append(hearing.pulse.is_at_rest))
    hearing.pulse.turn()
    tasks.deliver("bulk")
    assert rested == [True]
