"""A sending process that stands still for good ends itself, to be started again."""

import threading

import pytest
from django.db import connection

from mailops.dispatch import pulse, working
from mailops.dispatch.delivery import Delivery
from mailops.dispatch.pulse import Pulse
from mailops.dispatch.working import WorkerProcess
from mailops.outbox.tokens import current_token_key_id
from tests.factories import make_message, make_stream, make_transport

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


def test_what_takes_no_time_is_given_up_sooner(monkeypatch):
    monkeypatch.setattr(pulse, "STUCK_SECONDS", PATIENCE)
    monkeypatch.setattr(pulse, "HUNG_SECONDS", 0.0)
    heart = Pulse()
    with heart.beating():
        with heart.at_once():
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


@pytest.mark.parametrize("name", ["committer", "session"])
def test_the_heartbeat_ends_a_process_that_waits_for_a_thread_that_died_as_it_began(
    settings, monkeypatch, name
):
    settings.MAILOPS_HEARTBEAT_SECONDS = 0.01
    monkeypatch.setattr(pulse, "STUCK_SECONDS", PATIENCE)
    monkeypatch.setattr(pulse, "HUNG_SECONDS", 0.0)
    start, ended = threading.Thread.start, threading.Event()
    monkeypatch.setattr(working, "_end", ended.set)

    def wait_for_the_dead(thread):
        if not thread.name.startswith(name):
            return start(thread)
        assert ended.wait(60)
        raise SystemExit

    monkeypatch.setattr(threading.Thread, "start", wait_for_the_dead)
    make_message(
        stream=make_stream(transport=make_transport(), kind="bulk"),
        token_key_id=current_token_key_id(),
    )
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    worker.ensure_alive()
    with pytest.raises(SystemExit):
        run.run()
    worker.stop()
    if name != "committer":
        run._committer.stop(patience=60)


def test_a_heart_that_fails_once_beats_on(settings, monkeypatch):
    settings.MAILOPS_HEARTBEAT_SECONDS = 0.01
    failures, beaten = [MemoryError()], threading.Event()

    def beat(_worker):
        if failures:
            raise failures.pop()
        beaten.set()

    monkeypatch.setattr(WorkerProcess, "beat", beat)
    worker = WorkerProcess("bulk")
    worker.ensure_alive()
    assert beaten.wait(60)
    worker.stop()
