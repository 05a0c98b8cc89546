"""Runs of a delivery: real sessions to a server on loopback, the real ledger, and what must not stop the others."""

import pytest
from django.db import OperationalError, connection

from mailops.dispatch import delivery, opening
from mailops.dispatch.carriers import Carrier
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.committing import Committer, Request
from mailops.dispatch.conversation import SystemicFault
from mailops.dispatch.delivery import Delivery
from mailops.dispatch.lanes import Lane
from mailops.dispatch.models import Worker
from mailops.dispatch.opening import Opening
from mailops.dispatch.sweeping import sweep_claims_of_the_gone
from mailops.dispatch.working import WorkerProcess
from mailops.outbox.ledger import draw_fence
from mailops.outbox.models import Message, QueueEntry
from mailops.outbox.tokens import current_token_key_id
from mailops.transports.kinds import open_sessions
from mailops.transports.models import Transport
from mailops.transports.sessions import LoginId
from tests.factories import make_message, make_stream, make_transport

pytestmark = pytest.mark.django_db(transaction=True)  # the committer has its own connection


def make_stream_to(port):
    return make_stream(transport=make_transport(port=port, max_sessions=1), kind="bulk")


def make_due(stream, recipient, **fields):
    return make_message(
        stream=stream, recipient=recipient, token_key_id=current_token_key_id(), **fields
    )


def deliver():
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    run.run()
    run.finish()
    worker.stop()


def test_delivers_what_is_due(server):
    stream = make_stream_to(server.port)
    messages = [make_due(stream, f"r{number}@x.example") for number in range(3)]
    deliver()
    assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}
    assert len(server.messages) == len(messages)
    assert not QueueEntry.objects.exists()


def test_opens_sessions_one_by_one_until_one_could_be_opened_and_then_all(server, monkeypatch):
    stream = make_stream(transport=make_transport(port=server.port, max_sessions=5), kind="bulk")
    for number in range(40):
        make_due(stream, f"r{number}@x.example")
    monkeypatch.setattr(Opening, "_talk", lambda *_: None)  # a session that is still being opened
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    counts = []
    for could_open in (False, False, True):
        for lane in run._lanes.values():
            lane.could_open = could_open
        run._step()
        counts += [lane.live_sessions for lane in run._lanes.values()]
    worker.stop()
    assert counts == [1, 2, 5]


def test_speaks_an_international_domain_in_a_labels(server):
    make_due(
        make_stream_to(server.port), "Ada@bücher.example", address_key="ada@xn--bcher-kva.example"
    )
    deliver()
    assert "RCPT TO:<Ada@xn--bcher-kva.example>" in server.commands
    assert b"To: Ada@xn--bcher-kva.example\r\n" in server.messages[0]
    assert Message.objects.get().status == "accepted"


@pytest.mark.parametrize("where", ["making", "opening"])
def test_an_error_of_ours_in_one_transport_leaves_the_others_sending(
    server, monkeypatch, where, caplog
):
    broken, well = make_stream_to(server.port), make_stream_to(server.port)
    make_due(broken, "a@x.example")
    make_due(well, "b@x.example")

    def open_or_fail(transport):
        for session in open_sessions(transport):
            if transport.pk == broken.transport.pk:
                if where == "making":
                    raise RuntimeError("a bug of ours")
                session.open = lambda: 1 / 0
            yield session

    monkeypatch.setattr(opening, "open_sessions", open_or_fail)
    deliver()
    assert dict(Message.objects.values_list("recipient", "status")) == {
        "a@x.example": "queued",
        "b@x.example": "accepted",
    }
    entry = QueueEntry.objects.get()
    assert (entry.worker_id, entry.session_attempts) == (None, 0)
    backing_off = Transport.objects.exclude(backoff_until=None).get()
    assert backing_off == broken.transport
    assert "mailops itself failed" in backing_off.breaker_sentence


def test_a_session_that_asked_the_database_to_open_keeps_no_connection_to_it(server, monkeypatch):
    make_due(make_stream_to(server.port), "a@x.example")
    kept = []

    def open_asking(transport):
        session = next(open_sessions(transport))
        really_open, really_offer = session.open, session.offer

        def open_it():
            assert Transport.objects.exists()
            really_open()

        def offer(envelope):
            kept.append(connection.connection)
            return really_offer(envelope)

        session.open, session.offer = open_it, offer
        yield session

    monkeypatch.setattr(opening, "open_sessions", open_asking)
    deliver()
    assert kept == [None]


def test_a_lost_transport_row_does_not_end_the_run(server, monkeypatch):
    stream = make_stream_to(server.port)
    make_due(stream, "a@x.example")

    def gone(self, **_):
        raise Transport.DoesNotExist

    server.script["banner"] = "421 4.3.2 not now"
    monkeypatch.setattr(Transport, "record_failure", gone)
    monkeypatch.setattr(delivery, "RUN_SECONDS", 0.3)
    deliver()
    assert Message.objects.get().status == "queued"
    assert QueueEntry.objects.get().worker_id is None


def test_a_refused_log_in_of_a_transport_that_was_deleted_since_ends_no_run(server):
    make_due(make_stream_to(server.port), "a@x.example")
    gone = make_transport()
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    run._lanes[gone.pk] = Lane(Carrier(gone.pk, ()), gone, run._talks)
    run._faults.append(
        SystemicFault(
            "transport", gone.pk, None, "Refused.", "535 5.7.8", login_id=LoginId(1, "u", None)
        )
    )
    Transport.objects.filter(pk=gone.pk).delete()
    run.run()
    run.finish()
    worker.stop()
    assert Message.objects.get().status == "accepted"


@pytest.mark.parametrize("step", ["claim", "_load_templates"])
def test_a_claim_whose_answer_was_lost_is_given_back_and_claimed_again(server, monkeypatch, step):
    made = Claimer if step == "claim" else Delivery
    real, calls = getattr(made, step), []

    def cut_once(*args, **kwargs):
        result = real(*args, **kwargs)
        calls.append(step)
        if len(calls) == 1:
            assert QueueEntry.objects.filter(worker_id__isnull=False).exists()
            raise OperationalError("the connection was cut")
        return result

    monkeypatch.setattr(made, step, cut_once)
    make_due(make_stream_to(server.port), "a@x.example")
    deliver()
    assert Message.objects.get().status == "accepted"
    assert len(server.messages) == 1


def test_a_worker_that_was_declared_dead_keeps_nothing_it_claimed_before(server, monkeypatch):
    for number in range(3):
        make_due(make_stream_to(server.port), f"r{number}@x.example")
    monkeypatch.setattr(Delivery, "_open_sessions", lambda *_: None)
    monkeypatch.setattr(delivery, "ALIVE_SECONDS", 0.0)
    monkeypatch.setattr(delivery, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(delivery, "BUSY_LOOK_SECONDS", 0.0)
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    for _ in range(2):
        Worker.objects.update(dead_at="2026-01-01T00:00Z")
        sweep_claims_of_the_gone()
        run._step()
    worker.stop()
    claimed = QueueEntry.objects.values_list("message_id", "fence")
    assert sorted(job.claim for lane in run._lanes.values() for job in lane.jobs) == sorted(claimed)


def test_a_claim_that_an_error_of_ours_lost_goes_back_and_stops_its_transport_alone(
    server, monkeypatch, caplog
):
    broken, well = make_stream_to(server.port), make_stream_to(server.port)
    make_due(broken, "a@x.example")
    make_due(well, "b@x.example")
    really_load = Delivery._load_templates

    def load_or_fail(self, jobs):
        if any(job.stream_id == broken.pk for job in jobs):
            raise RuntimeError("a bug of ours")
        really_load(self, jobs)

    monkeypatch.setattr(Delivery, "_load_templates", load_or_fail)
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    run.run()
    assert dict(Message.objects.values_list("recipient", "status")) == {
        "a@x.example": "queued",
        "b@x.example": "accepted",
    }
    assert QueueEntry.objects.get().worker_id is None
    assert Transport.objects.exclude(backoff_until=None).get() == broken.transport
    run.finish()
    worker.stop()


def test_a_claim_that_nobody_of_a_living_process_has_is_given_back(server, monkeypatch):
    monkeypatch.setattr(delivery, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(delivery, "ALIVE_SECONDS", 0.0)
    stream = make_stream_to(server.port)
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    run.run()
    make_due(stream, "a@x.example")
    # its commit came through after this process had looked for what it had lost
    QueueEntry.objects.update(worker_id=worker.ensure_alive(), fence=draw_fence())
    run.run()
    run.finish()
    worker.stop()
    assert Message.objects.get().status == "accepted"


def test_opens_no_session_while_a_result_is_not_written(server, monkeypatch):
    make_due(make_stream_to(server.port), "a@x.example")
    opened = []
    monkeypatch.setattr(Opening, "open", lambda self, lane: opened.append(lane.jobs))
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    run._step()
    assert opened
    opened.clear()
    monkeypatch.setattr(Committer, "has_unwritten", True)
    run._step()
    worker.stop()
    assert not opened


def test_a_claim_stays_while_what_became_of_it_is_not_written(monkeypatch):
    monkeypatch.setattr(delivery, "ALIVE_SECONDS", 0.0)
    monkeypatch.setattr(Committer, "start", lambda _: None)
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    run.run()
    make_due(make_stream_to(1), "a@x.example")
    QueueEntry.objects.update(worker_id=worker.ensure_alive(), fence=draw_fence())
    run._committer.put(Request())
    run._make_sure_of_worker()
    worker.stop()
    assert QueueEntry.objects.get().worker_id is not None


def test_a_refused_log_in_of_a_transport_that_was_deleted_stops_nothing_else(server, monkeypatch):
    def gone(*_):
        raise Transport.DoesNotExist

    monkeypatch.setattr(delivery, "outlives", gone)
    monkeypatch.setattr(delivery, "LOOK_SECONDS", 0.0)
    stream = make_stream_to(server.port)
    make_due(stream, "a@x.example")
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    run.run()
    fault = SystemicFault("transport", stream.transport.pk, None, "It was refused.", "535")
    run._faults.append(fault)
    make_due(stream, "b@x.example")
    run.run()
    run.finish()
    worker.stop()
    assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}
