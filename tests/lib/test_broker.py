import threading
import time

import pytest
from django.conf import settings
from django.db import connection
from psycopg.conninfo import conninfo_to_dict

from mailops.celery import app
from mailops.feedback.tasks import process_feedback
from mailops.lib import broker


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
            with reading.Consumer([queue], callbacks=[lambda _, m: arrived.append(m)]):
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

    def test_a_process_that_only_sends_hints_does_not_listen(self):
        process_feedback.apply_async(retry=False)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
            assert cursor.fetchone() == (0,)
