"""A sending process that stands still for good ends itself, to be started again."""

import subprocess
import sys
import threading

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from django.db import connection

from mailops.celery import app as ours
from mailops.dispatch import hearing, pulse, working
from mailops.dispatch.committing import Request
from mailops.dispatch.delivery import Delivery
from mailops.dispatch.hearing import Hearing
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


HANGING = """
from threading import Event
from mailops.dispatch import pulse

class Dead:
    def start(self):
        Event().wait()

pulse.start_unwatched(Dead(), within=0.01)
"""


def test_a_process_whose_heart_died_as_it_began_ends():
    ended = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "in start_unwatched" in ended.stderr


def test_the_heart_beats_before_anything_else_is_begun(monkeypatch):
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: True)
    seen = []
    monkeypatch.setattr(run._committer, "start", lambda: seen.append(worker._heart.is_alive()))
    run.run()
    worker.stop()
    assert seen == [True]


class TestHearing:
    """Celery's own loop, which calls a delivery to its runs."""

    @pytest.fixture
    def between(self):
        """Return a delivery between two runs, of a process that no longer hears of work."""
        heard = Pulse()
        heard.turn()
        return Delivery(WorkerProcess("bulk"), "bulk", should_stop=lambda: False, hearing=heard)

    def test_a_loop_that_stands_still_ends_its_process(self, between):
        assert between._is_stuck()

    def test_but_not_while_a_run_goes_on(self, between):
        with between._pulse.beating():
            between._pulse.turn()
            between._pulse._turned_at += PATIENCE
            assert not between._is_stuck()

    def test_nor_while_a_session_talks(self, between, monkeypatch):
        monkeypatch.setattr(between, "_count_sessions", lambda: 1)
        assert not between._is_stuck()

    def test_nor_while_a_result_is_not_written(self, between):
        between._committer.put(Request())
        assert not between._is_stuck()

    def test_every_worker_has_its_loop_watched(self):
        assert "mailops.dispatch.hearing:Hearing" in ours.steps["consumer"]

    def test_turns_while_it_is_connected_and_rests_then(self, monkeypatch):
        turned, turn = threading.Event(), hearing.pulse.turn

        def note():
            turn()
            turned.set()

        monkeypatch.setattr(hearing.pulse, "turn", note)
        app = Celery("listening", broker="memory://", set_as_current=False)
        app.conf.worker_hijack_root_logger = False
        app.steps["consumer"].add(Hearing)
        try:
            with start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR"):
                assert turned.wait(60)
            assert hearing.pulse.is_at_rest
        finally:
            ours.set_current()  # the worker made its own the one of all
            ours.set_default()
