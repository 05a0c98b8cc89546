"""Hints to the lanes: sent once what they are about is committed, and never in the submitter's way."""

import socket
from contextlib import nullcontext

import pytest
from django.db import connection, transaction
from kombu.messaging import Producer

from mailops.celery import app
from mailops.outbox import hinting
from mailops.outbox.submission import submit
from tests.factories import make_identity, make_stream, make_version

pytestmark = pytest.mark.django_db(transaction=True)


def hints(lane):
    with connection.cursor() as cursor:
        cursor.execute("SELECT message->'headers'->>'task' FROM pgmq.q_" + lane)
        return [task for (task,) in cursor.fetchall()]


@pytest.fixture(autouse=True)
def _no_hints_from_before(monkeypatch):
    monkeypatch.setattr(hinting, "_hinted", {})
    monkeypatch.setattr(hinting, "REST_SECONDS", 0.0)
    with connection.cursor() as cursor:
        for lane in ("transactional", "bulk"):
            cursor.execute("SELECT pgmq.purge_queue(%s)", [lane])


@pytest.fixture
def threads(monkeypatch):
    """Return the threads that hint."""
    started = []
    hint_soon = hinting.hint_soon
    monkeypatch.setattr(hinting, "hint_soon", lambda lane: started.append(hint_soon(lane)))
    return started


@pytest.fixture
def dead_broker(monkeypatch):
    """Have hints sent to a broker that nobody runs."""
    with socket.create_server(("127.0.0.1", 0)) as refusing:
        port = refusing.getsockname()[1]
    with app.connection_for_write(
        f"redis://127.0.0.1:{port}/0", transport_options={"max_retries": 1, "interval_start": 0}
    ) as dead:
        monkeypatch.setattr(app, "producer_or_acquire", lambda _=None: nullcontext(Producer(dead)))
        yield


def submit_one(stream, **fields):
    return submit(
        stream=stream,
        identity=make_identity(domain=stream.domain),
        recipient="a@x.example",
        version=make_version(),
        merge_data={},
        **fields,
    )


class TestSubmission:
    def test_hints_to_the_lane_when_it_is_committed(self, threads):
        stream = make_stream(kind="transactional")
        with transaction.atomic():
            submit_one(stream)
            assert threads == []
        threads[0].join()
        assert hints("transactional") == ["dispatch.deliver"]
        assert hints("bulk") == []

    def test_a_known_key_hints_to_nobody(self, threads):
        stream = make_stream(kind="transactional")
        for _ in range(2):
            submit_one(stream, idempotency_key="order-7")
        assert len(threads) == 1
        threads[0].join()

    def test_what_is_rolled_back_hints_to_nobody(self, threads):
        stream = make_stream(kind="transactional")
        with transaction.atomic():
            submit_one(stream)
            transaction.set_rollback(True)
        assert threads == []

    def test_a_broker_that_is_away_is_told_to_nobody(self, threads, dead_broker, caplog):
        caplog.set_level("INFO")
        message = submit_one(make_stream(kind="transactional"))
        threads[0].join()
        assert message.status == "queued"
        assert "no hint could be sent" in caplog.text
        assert "Traceback" not in caplog.text


class TestHints:
    def test_as_many_as_workers_should_hear(self):
        hinting.hint("bulk", workers=3)
        assert hints("bulk") == ["dispatch.deliver"] * 3

    def test_those_that_come_while_one_is_sent_become_one_more(self, monkeypatch):
        sent = []

        def hint_while_others_come(lane):
            if not sent:
                assert [hinting.hint_soon(lane) for _ in range(5)] == [None] * 5
            sent.append(lane)

        monkeypatch.setattr(hinting, "hint", hint_while_others_come)
        hinting.hint_soon("bulk").join()
        assert sent == ["bulk", "bulk"]

    def test_a_lane_is_hinted_to_again_after_a_failure_of_ours(self, monkeypatch):
        with monkeypatch.context() as broken:
            broken.setattr(hinting, "HINT_SECONDS", "nonsense")
            hinting.hint_soon("bulk").join()
        assert hints("bulk") == []
        hinting.hint_soon("bulk").join()
        assert hints("bulk") == ["dispatch.deliver"]

    def test_a_lane_is_hinted_to_again_where_there_was_no_room_for_a_thread(self, monkeypatch):
        def no_room(_):
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as full:
            full.setattr(hinting.Thread, "start", no_room)
            with pytest.raises(RuntimeError):
                hinting.hint_soon("bulk")
        hinting.hint_soon("bulk").join()
        assert hints("bulk") == ["dispatch.deliver"]
