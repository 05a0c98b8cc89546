"""What a worker's thread does with its connection between two tasks."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from celery.fixups.django import DjangoWorkerFixup
from celery.signals import task_prerun
from django.db import connection

from mailops.celery import app
from mailops.dispatch.tasks import tick

pytestmark = pytest.mark.django_db


def backend():
    """Return the number of the server's process that answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def in_a_thread(work):
    def run():
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def between_two_tasks():
    worker = DjangoWorkerFixup(app)
    worker.on_task_postrun(tick)
    worker.on_task_prerun(tick)
    task_prerun.send(sender=tick)


def test_keeps_it():
    def work():
        before = backend()
        between_two_tasks()
        return before, backend()

    before, after = in_a_thread(work)
    assert before == after


def test_has_another_where_it_broke():
    def work():
        before = backend()
        connection.connection.close()
        between_two_tasks()
        return before, backend()

    before, after = in_a_thread(work)
    assert before != after


def test_has_another_where_it_is_old():
    def work():
        before = backend()
        connection.close_at = 0
        between_two_tasks()
        return before, backend()

    before, after = in_a_thread(work)
    assert before != after
