import gc
from unittest.mock import Mock

import pytest
from celery.signals import worker_ready

from mailops.dispatch import tasks  # noqa: F401 - connects to the signal
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
