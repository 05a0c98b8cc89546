"""A sending process that stands still for good ends itself, to be started again."""

import threading

import pytest
from django.db import connection

from mailops.dispatch import pulse, working
from mailops.dispatch.delivery import Delivery
from mailops.dispatch.pulse import Pulse
from mailops.dispatch.working import WorkerProcess

pytestmark = pytest.mark.django_db(transaction=True)


PATIENCE = pulse.STUCK_SECONDS
ADDRESSES = 8  # of a database's name


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(pulse, "STUCK_SECONDS", 0.0)


def test_a_database_that_says_nothing_is_given_up_before_the_loop_that_calls_it():
    assert 2 * ADDRESSES * connection.settings_dict["OPTIONS"]["connect_timeout"] < PATIENCE


def test_is_stuck_while_it_should_turn_and_does_not():
    heart = Pulse()
    assert not heart.is_stuck
    with heart.beating():
        heart.turn()
        assert heart.is_stuck
    assert not heart.is_stuck


def test_a_statement_may_take_as_long_as_it_likes():
    heart, seen = Pulse(), []
    connection.ensure_connection()

    def look(_notice):
        seen.append(heart.is_stuck)

    connection.connection.add_notice_handler(look)
    with heart.beating():
        heart.turn()
        try:
            with connection.cursor() as cursor:
                cursor.execute("DO $$ BEGIN RAISE NOTICE 'under way'; END $$")
        finally:
            connection.connection.remove_notice_handler(look)
        assert heart.is_stuck
    assert seen == [False]


@pytest.mark.parametrize("which", ["caller", "committer"])
def test_the_heartbeat_ends_a_process_of_which_a_thread_stands_still(settings, monkeypatch, which):
    settings.MAILOPS_HEARTBEAT_SECONDS = 0.01
    ended = threading.Event()
    monkeypatch.setattr(working, "_end", ended.set)
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    heart = run._pulse if which == "caller" else run._committer.pulse
    worker.ensure_alive()
    with heart.beating():
        heart.turn()
        assert ended.wait(60)
    worker.stop()
