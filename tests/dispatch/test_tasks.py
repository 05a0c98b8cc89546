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


def test_nothing_stands_still_while_a_run_goes_on_or_the_broker_is_waited_for(monkeypatch):
    """A hint to a broker that went away waits for minutes: both senders ended when the database was back."""
    heard, seen = Pulse(), []

    def run():
        seen.append(heard.is_at_rest)
        return True

    monkeypatch.setattr(hearing, "pulse", heard)
    monkeypatch.setattr(tasks, "_delivery_of", lambda _: Mock(run=run))
    monkeypatch.setattr(tasks, "hint", lambda _: seen.append(heard.is_at_rest))
    heard.turn()
    tasks.deliver("bulk")
    assert seen == [True, True]
    assert heard.is_at_rest
