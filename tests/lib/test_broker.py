import gc
import socket
import threading
import time
from contextlib import suppress

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from kombu.exceptions import OperationalError
from psycopg.conninfo import conninfo_to_dict

from mailops.celery import app
from mailops.feedback.tasks import process_feedback
from mailops.lib import broker


def fail(*_args):
    raise psycopg.OperationalError("the connection is lost")


def keep(arrived):
    """Return a callback that keeps what a test sent; late hints of tests before are acknowledged."""

    def take(payload, message):
        if isinstance(payload, dict):
            arrived.append(message)
        else:
            message.ack()

    return take


def drain(reading, arrived, wanted):
    """Read until so many messages came; fail after some seconds."""
    ends_at = time.monotonic() + 10
    while len(arrived) < wanted and time.monotonic() < ends_at:
        with suppress(TimeoutError):
            reading.drain_events(timeout=1)
    assert len(arrived) == wanted


class TestConnectionString:
    def test_survives_pgmqs_taking_apart_and_joining(self):
        from pgmq.base import PGMQConfig

        database = {
            "HOST": "/a folder",
            "PORT": "",
            "NAME": "mail ops",
            "USER": "bo'b",
            "PASSWORD": "p' \\x host=evil",
            "OPTIONS": {"sslmode": "require", "pool": {"min_size": 1}},
        }
        joined = PGMQConfig(conn_string=broker.connection_string(database)).dsn
        assert conninfo_to_dict(joined) == {
            "host": "/a folder",
            "port": "5432",
            "dbname": "mail ops",
            "user": "bo'b",
            "password": "p' \\x host=evil",
            "sslmode": "require",
        }


def test_nothing_goes_on_connecting_to_a_database_that_was_away():
    with socket.create_server(("127.0.0.1", 0)) as refusing:
        port = refusing.getsockname()[1]
    options = {
        **broker.transport_options({"HOST": "127.0.0.1", "PORT": port, "NAME": "nobody"}),
        "pool_timeout": 0.1,
        "max_retries": 0,
    }
    before = set(threading.enumerate())
    gc.disable()
    try:
        with app.connection_for_write(transport_options=options) as dead:
            for _ in range(3):
                with pytest.raises(OperationalError):
                    dead.default_channel  # noqa: B018 - it connects
        assert set(threading.enumerate()) <= before
    finally:
        gc.enable()


@pytest.mark.django_db(transaction=True)
class TestQueues:
    def test_installing_again_changes_nothing(self):
        broker.install(settings.CELERY_TASK_QUEUES)
        with connection.cursor() as cursor:
            cursor.execute("SELECT queue_name FROM pgmq.list_queues() ORDER BY 1")
            assert [name for (name,) in cursor.fetchall()] == sorted(settings.CELERY_TASK_QUEUES)

    def test_a_hint_wakes_a_consumer_that_would_not_poll_for_a_minute(self):
        arrived = []
        options = {**app.conf.broker_transport_options, "polling_interval": 60}
        with (
            app.connection_for_read(transport_options=options) as reading,
            app.connection_for_write() as writing,
        ):
            queue = app.amqp.queues["transactional"]
            with reading.Consumer([queue], callbacks=[keep(arrived)]):
                # into the waiting consumer's sleep, as a web request's hint is
                sender = threading.Timer(
                    0.2,
                    lambda: writing.Producer().publish({"at": time.time()}, routing_key=queue.name),
                )
                sender.start()
                while not arrived:
                    reading.drain_events(timeout=20)
                arrived[0].ack()
                sender.join()

    @pytest.mark.parametrize("act", ["ack", "reject"])
    def test_a_worker_goes_on_after_a_database_that_was_away_when_it_was_done(
        self, act, monkeypatch
    ):
        arrived = []
        with (
            app.connection_for_read() as reading,
            app.connection_for_write() as writing,
            app.connection_for_read() as another,
        ):
            queue = app.amqp.queues["transactional"]
            reading.default_channel.basic_qos(0, 1, False)
            with reading.Consumer([queue], callbacks=[keep(arrived)]):
                writing.Producer().publish({"number": 1}, routing_key=queue.name)
                drain(reading, arrived, 1)
                with monkeypatch.context() as away:
                    away.setattr(reading.default_channel.pgmq, "delete", fail)
                    with pytest.raises(psycopg.OperationalError):
                        getattr(arrived[0], act)()
                writing.Producer().publish({"number": 2}, routing_key=queue.name)
                drain(reading, arrived, 2)
                arrived[1].ack()
            another.default_channel.queue_purge(queue.name)
        assert [message.payload["number"] for message in arrived] == [1, 2]

    def test_a_process_that_only_sends_hints_does_not_listen(self):
        before = listeners()
        process_feedback.apply_async(retry=False)
        assert listeners() <= before  # the server notices a little later that one left


def listeners():
    """Return the numbers of the server's processes that listen for this database's clients."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        return {pid for (pid,) in cursor.fetchall()}
