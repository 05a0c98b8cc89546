"""Servers that take fewer sessions at once than a transport may have."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.dispatch.crowding import forget_crowding, have_fewer_sessions, raise_sessions
from mailops.dispatch.delivery import Delivery
from mailops.dispatch.models import Crowding, Seat, Worker
from mailops.dispatch.rules import read_rules
from mailops.dispatch.working import WorkerProcess
from mailops.outbox.models import Message
from mailops.outbox.tokens import current_token_key_id
from mailops.transports.models import Transport
from tests.factories import make_message, make_stream, make_transport

DETAIL = "421 4.7.0 too many <connections>"


@pytest.fixture
def transport(db):
    return make_transport(max_sessions=20)


@pytest.fixture
def worker(db):
    return make_worker()


def make_worker(**fields):
    return Worker.objects.create(lane="bulk", host="test", pid=1, **fields)


def turn_away(transport, worker, number, *, talking):
    return have_fewer_sessions(
        transport.pk, turned_away=number, talking=talking, worker_id=worker.pk, detail=DETAIL
    )


def sessions(transport):
    return read_rules(transport.pk, []).max_sessions


def seat(transport, *, talking, age=0, **worker):
    now = timezone.now()
    Seat.objects.create(
        key=f"t{transport.pk}",
        worker=make_worker(**worker),
        held=9,
        wanted=9,
        talking=talking,
        waits_since=now,
        renewed_at=now - timedelta(seconds=age),
    )


class TestFewer:
    def test_each_that_is_turned_away_is_one_too_many(self, transport, worker):
        assert turn_away(transport, worker, 7, talking=3)
        assert sessions(transport) == 13
        assert turn_away(transport, worker, 8, talking=3)
        assert sessions(transport) == 5

    def test_those_that_talk_are_not_too_many(self, transport, worker):
        assert turn_away(transport, worker, 19, talking=3)
        assert sessions(transport) == 3

    def test_where_none_talks_it_is_not_for_their_number(self, transport, worker):
        assert not turn_away(transport, worker, 1, talking=0)
        assert sessions(transport) == 20

    def test_sessions_of_other_workers_talk_too(self, transport, worker):
        seat(transport, talking=4)
        assert turn_away(transport, worker, 18, talking=0)
        assert sessions(transport) == 4

    @pytest.mark.parametrize(
        "gone", [{"age": 4}, {"dead_at": timezone.now()}, {"stopped_at": timezone.now()}]
    )
    def test_but_not_those_of_the_silent_and_the_gone(self, transport, worker, gone):
        seat(transport, talking=4, **gone)
        assert not turn_away(transport, worker, 1, talking=0)

    def test_the_audit_trail_tells_once(self, transport, worker):
        for _ in range(3):
            turn_away(transport, worker, 1, talking=1)
        entry = AuditEntry.objects.get()
        assert (entry.verb, entry.actor) == ("transport.fewer_sessions", None)

    def test_keeps_whatever_a_server_says(self, transport, worker):
        have_fewer_sessions(
            transport.pk, turned_away=1, talking=1, worker_id=worker.pk, detail="421 \0" * 3000
        )
        assert len(Crowding.objects.get().detail) == 2000

    def test_a_transport_with_fewer_of_its_own_keeps_to_those(self, transport, worker):
        turn_away(transport, worker, 5, talking=1)
        Transport.objects.update(max_sessions=2)
        assert sessions(transport) == 2

    def test_is_forgotten_once_the_server_is_out_of_reach(self, transport, worker):
        turn_away(transport, worker, 5, talking=1)
        forget_crowding(transport.pk)
        assert sessions(transport) == 20


class TestMore:
    def rest(self):
        Crowding.objects.update(changed_at=timezone.now() - timedelta(seconds=61))
        raise_sessions()

    def test_a_quarter_more_after_each_quiet_minute_and_then_no_word_of_it(self, transport, worker):
        turn_away(transport, worker, 16, talking=4)
        raise_sessions()
        assert sessions(transport) == 4
        seen = []
        while Crowding.objects.exists():
            self.rest()
            seen.append(sessions(transport))
        assert seen == [5, 6, 7, 8, 10, 12, 15, 18, 20, 20]
        assert AuditEntry.objects.latest("pk").verb == "transport.all_sessions"

    def test_is_lowered_again_by_who_is_turned_away_then(self, transport, worker):
        turn_away(transport, worker, 12, talking=8)
        self.rest()
        turn_away(transport, worker, 2, talking=8)
        assert sessions(transport) == 8
        raise_sessions()
        assert sessions(transport) == 8


@pytest.mark.django_db(transaction=True)
class TestDelivery:
    def deliver(self):
        worker = WorkerProcess("bulk")
        run = Delivery(worker, "bulk", should_stop=lambda: False)
        run.run()
        run.finish()
        worker.stop()

    def make_due(self, server, number):
        transport = make_transport(port=server.port, max_sessions=8)
        stream = make_stream(transport=transport, kind="bulk")
        for one in range(number):
            make_message(
                stream=stream, recipient=f"r{one}@x.example", token_key_id=current_token_key_id()
            )
        return transport

    def test_sends_on_through_the_sessions_that_talk(self, server):
        server.takes_at_once = 3
        transport = self.make_due(server, 150)
        self.deliver()
        assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}
        assert 0 < server.turned_away <= 5
        assert Crowding.objects.get().sessions == 8 - server.turned_away
        transport.refresh_from_db()
        assert (transport.failures, transport.backoff_until) == (0, None)

    def test_a_server_that_takes_none_is_out_of_reach(self, server):
        server.takes_at_once = 0
        transport = self.make_due(server, 20)
        self.deliver()
        assert server.turned_away == 1
        assert not Crowding.objects.exists()
        transport.refresh_from_db()
        assert transport.failures == 1


class TestPage:
    @pytest.fixture
    def crowding(self, transport):
        return Crowding.objects.create(transport=transport, sessions=5, detail=DETAIL)

    def test_says_how_many_it_takes_and_what_it_said(self, viewer, logged_in, crowding):
        url = reverse("dispatch:transport-panel", args=[crowding.transport_id])
        page = logged_in(viewer).get(url).content.decode()
        assert "turned sessions away while 5 talked" in page
        assert "421 4.7.0 too many &lt;connections&gt;" in page
        assert "All sessions" not in page

    def test_says_nothing_of_it_where_the_transport_may_have_no_more(
        self, viewer, logged_in, crowding
    ):
        Transport.objects.update(max_sessions=5)
        url = reverse("dispatch:transport-panel", args=[crowding.transport_id])
        assert "turned sessions away" not in logged_in(viewer).get(url).content.decode()

    def test_who_operates_may_end_it_and_nobody_else(self, oncall, viewer, logged_in, crowding):
        end = reverse("dispatch:crowding-end", args=[crowding.pk])
        assert logged_in(viewer).post(end).status_code == 403
        assert logged_in(oncall).get(end).status_code == 405
        assert logged_in(oncall).post(end).status_code == 302
        assert not Crowding.objects.exists()
        entry = AuditEntry.objects.get()
        assert (entry.verb, entry.actor) == ("transport.all_sessions", oncall)
        assert logged_in(oncall).post(end).status_code == 404
