"""Sessions over all workers: who gets a seat, what providers mind, and what a server on loopback sees of it."""

import contextlib
import threading
from collections import deque
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils import timezone

from mailops.dispatch import seating
from mailops.dispatch.delivery import Delivery
from mailops.dispatch.models import Seat, Worker
from mailops.dispatch.rules import SessionLimit, read_rules
from mailops.dispatch.seats import Claimant, SeatKeeper, seats_for
from mailops.dispatch.talks import Talks
from mailops.dispatch.working import WorkerProcess
from mailops.outbox.models import Message, QueueEntry
from mailops.outbox.tokens import current_token_key_id
from mailops.transports.models import ProviderLimit
from tests.factories import make_message, make_stream, make_transport
from tests.smtp_server import SmtpServer, _Conversation
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db


def one(held, wanted, *, waiting=0.0, is_urgent=False, worker_id=1):
    return Claimant(worker_id, is_urgent, held, wanted, waiting)


class TestSharing:
    @pytest.mark.parametrize(
        ("me", "others", "most", "seats"),
        [
            (one(0, 4), [], 4, 4),
            (one(0, 9), [], 4, 4),
            (one(0, 4), [one(3, 3)], 4, 1),
            (one(0, 4), [one(4, 4)], 4, 0),
            (one(4, 4), [one(0, 2)], 4, 2),  # makes room for an even share
            (one(4, 4), [one(0, 1)], 4, 3),
            (one(2, 4), [one(2, 4)], 4, 2),
            # the last one is for who has none
            (one(1, 2), [one(2, 2), one(0, 1, waiting=3)], 4, 1),
            (one(0, 1), [one(0, 1, waiting=3)], 1, 0),  # who waits for longer comes first
            (one(0, 1, waiting=5), [one(0, 1, waiting=3)], 1, 1),
            (one(1, 1), [one(0, 1, is_urgent=True)], 1, 0),  # bulk leaves for transactional mail
            (one(1, 1, is_urgent=True), [one(0, 1)], 1, 1),
            (one(3, 3), [], 1, 1),  # a lower limit
            (one(2, 2), [one(2, 2, worker_id=2)], 1, 1),  # of two, the first keeps the one
            (one(2, 2, worker_id=2), [one(2, 2)], 1, 0),
            (one(4, 4), [one(4, 4, worker_id=2)], 4, 2),  # one was frozen, and its seats given away
            (one(4, 4), [one(1, 4, worker_id=2)], 4, 3),
            (one(1, 4, worker_id=2), [one(4, 4)], 4, 1),
            (one(3, 3), [one(3, 3, worker_id=2), one(0, 3, worker_id=3)], 5, 3),
            (one(3, 3, worker_id=2), [one(3, 3), one(0, 3, worker_id=3)], 5, 2),
            (one(0, 0), [one(1, 1)], 4, 0),
            (one(10, 20), [one(6, 20)], 20, 10),  # what it made room with is for the other
            (one(6, 20), [one(10, 20)], 20, 10),
            (one(10, 20), [one(0, 4)], 20, 16),  # what nobody lacks is for who wants it
        ],
    )
    def test_gives_each_what_is_fair(self, me, others, most, seats):
        assert seats_for(me, others, most) == seats


def settled(keeper, *, wanted, most=4):
    """Return the seats that a worker has once all others had their time to ask."""
    held = keeper.seats("t1", held=0, wanted=wanted, most=most)
    keeper._answers.clear()
    return keeper.seats("t1", held=held, wanted=wanted, most=most)


class TestKeeping:
    @pytest.fixture
    def keep(self):
        def make(lane="bulk"):
            worker = Worker.objects.create(lane=lane, host="test", pid=1)
            return SeatKeeper(worker.pk, is_urgent=lane == "transactional")

        return make

    def test_two_never_have_more_than_there_are(self, keep):
        first, second = keep(), keep()
        assert settled(first, wanted=3) == 3
        assert settled(second, wanted=3) == 1

    def test_who_comes_first_leaves_the_others_of_its_lane_their_part(self, keep):
        first, second = keep(), keep()
        keep("transactional")
        assert first.seats("t1", held=0, wanted=4, most=4) == 2
        assert second.seats("t1", held=0, wanted=4, most=4) == 2

    def test_who_begins_leaves_their_part_to_those_who_only_begin_to_ask(self, keep):
        first, second = keep(), keep()
        for keeper in (first, second):
            assert (
                keeper.seats("t1", held=0, wanted=1, most=4) == 1
            )  # for what is still to be claimed
        assert first.seats("t1", held=0, wanted=4, most=4) == 2
        assert second.seats("t1", held=0, wanted=4, most=4) == 2

    def test_what_the_others_do_not_ask_for_it_has_a_moment_later(self, keep):
        first, _ = keep(), keep()
        assert first.seats("t1", held=0, wanted=4, most=4) == 2
        first._answers.clear()  # a moment later
        assert first.seats("t1", held=2, wanted=4, most=4) == 4

    def test_asks_the_database_once_a_second(self, keep, django_assert_num_queries):
        keeper = keep()
        keeper.seats("t1", held=0, wanted=3, most=4)
        with django_assert_num_queries(0):
            assert keeper.seats("t1", held=1, wanted=3, most=4) == 3

    @pytest.mark.parametrize("fate", ["dead", "silent", "forgotten"])
    def test_what_the_gone_held_is_free(self, keep, fate):
        first, second = keep(), keep()
        first.seats("t1", held=4, wanted=4, most=4)
        if fate == "dead":
            Worker.objects.filter(pk=Seat.objects.get().worker_id).update(dead_at=timezone.now())
        elif fate == "silent":
            Seat.objects.update(renewed_at=timezone.now() - timezone.timedelta(seconds=11))
        else:
            first.forget()
        assert settled(second, wanted=4) == 4

    def test_who_was_frozen_and_talks_on_shares_what_was_given_away(self, keep):
        frozen, other = keep(), keep()
        assert settled(frozen, wanted=4) == 4
        Seat.objects.update(renewed_at=timezone.now() - timezone.timedelta(seconds=11))
        assert settled(other, wanted=4) == 4
        held = {frozen: 4, other: 4}
        for keeper in (frozen, other) * 2:
            keeper._answers.clear()  # a second later
            held[keeper] = keeper.seats("t1", held=held[keeper], wanted=4, most=4)
        assert list(held.values()) == [2, 2]


def job(provider):
    return SimpleNamespace(mailbox_provider=provider)


class TestTalks:
    @pytest.fixture
    def talks(self):
        talks = Talks()
        limits = {"gmail": SessionLimit(1, None), "outlook": SessionLimit(None, 2)}
        talks.limit_of = lambda provider: limits.get(provider, SessionLimit())
        talks.seats = {"gmail": 1}
        return talks

    def test_a_second_session_passes_over_a_provider_that_has_its_one(self, talks):
        jobs = deque([job("gmail"), job("gmail"), job("other")])
        assert talks.choose("a", jobs).mailbox_provider == "gmail"
        assert talks.choose("b", jobs).mailbox_provider == "other"
        assert talks.choose("b", jobs) is None
        assert talks.count_ready(jobs) == 0
        assert talks.choose("a", jobs).mailbox_provider == "gmail"

    def test_opens_no_more_sessions_than_may_speak_of_what_waits(self, talks):
        assert talks.most_sessions(deque([job("gmail")] * 30)) == 1
        assert talks.most_sessions(deque([job("gmail")] * 30 + [job("other")])) is None
        talks.seats = {}
        assert talks.most_sessions(deque([job("gmail")])) == 0

    def test_a_session_at_rest_makes_room(self, talks):
        jobs = deque([job("gmail"), job("gmail")])
        talks.choose("a", jobs)
        assert talks.rest("a")
        assert talks.choose("b", jobs) is not None

    def test_a_session_says_only_so_much_to_a_provider(self, talks):
        jobs = deque(job("outlook") for _ in range(3))
        assert [talks.choose("a", jobs) is None for _ in range(3)] == [False, False, True]
        assert talks.is_used_up("a", jobs)
        assert talks.choose("b", jobs) is not None


class _Counted(_Conversation):
    """Has gone once it is told to, not only when its thread is at its end: a client may come back before that."""

    def _hear(self, line):
        if line.upper() == "QUIT":
            self.server.present.discard(self)
        super()._hear(line)


class ManyAtOnce(SmtpServer):
    """Talks to each client in a thread of its own, and knows how many there were at once."""

    most = 0

    def _run(self):
        self.present, counting, threads = set(), threading.Lock(), []
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                break
            self.connections += 1
            self._open.append(client)
            threads.append(threading.Thread(target=self._serve, args=[client, counting]))
            threads[-1].start()
        for thread in threads:
            thread.join(5)

    def _serve(self, client, counting):
        conversation = _Counted(self, client)
        with counting:
            self.present.add(conversation)
            self.most = max(self.most, len(self.present))
        with contextlib.suppress(OSError):
            conversation.run()
        self.present.discard(conversation)


@pytest.fixture
def server(settings):
    with ManyAtOnce(extensions=("8BITMIME",)) as server:
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
        yield server


def deliver(lane="bulk"):
    worker = WorkerProcess(lane)
    run = Delivery(worker, lane, should_stop=lambda: False)
    try:
        run.run()
        run.finish()
        worker.stop()
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
class TestOnTheWire:
    @pytest.fixture(autouse=True)
    def no_heart(self, monkeypatch):
        monkeypatch.setattr(WorkerProcess, "_beat", lambda self: None)

    def queue(self, stream, number, provider=""):
        for _ in range(number):
            make_message(
                stream=stream, mailbox_provider=provider, token_key_id=current_token_key_id()
            )

    def deliver_with(self, workers):
        threads = [threading.Thread(target=deliver) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_three_processes_open_no_more_sessions_than_the_transport_allows(self, server):
        self.queue(make_stream(transport=make_transport(port=server.port, max_sessions=2)), 60)
        self.deliver_with(3)
        assert len(server.messages) == 60
        assert server.most <= 2
        assert not Seat.objects.exclude(held=0).exists()

    def test_a_provider_has_its_own_number_of_sessions(self, server):
        ProviderLimit.objects.create(mailbox_provider="gmail", max_sessions=1)
        stream = make_stream(transport=make_transport(port=server.port, max_sessions=4))
        self.queue(stream, 30, "gmail")
        self.deliver_with(2)
        assert len(server.messages) == 30
        assert server.most == 1

    def test_a_session_ends_after_what_a_provider_takes_in_one(self, server):
        ProviderLimit.objects.create(mailbox_provider="gmail", messages_per_session=5)
        stream = make_stream(transport=make_transport(port=server.port, max_sessions=1))
        self.queue(stream, 12, "gmail")
        deliver()
        assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}
        assert server.connections == 3

    def test_one_session_over_all_processes_probes_a_transport_in_trouble(self, server):
        transport = make_transport(
            port=server.port,
            max_sessions=4,
            breaker="open",
            failures=4,
            backoff_until=timezone.now(),
        )
        self.queue(make_stream(transport=transport), 3)
        server.script["MAIL"] = ["250 ok"]
        self.deliver_with(3)
        transport.refresh_from_db()
        assert (transport.breaker, transport.failures) == ("closed", 0)
        assert len(server.messages) == 3

    def test_a_transactional_message_has_a_seat_while_bulk_has_the_others(self, server):
        transport = make_transport(port=server.port, max_sessions=2)
        bulk = make_stream(transport=transport, kind="bulk")
        urgent = make_stream(transport=transport, kind="transactional")
        rules = read_rules(transport.pk, [bulk.pk])
        assert rules.seats_reserved_from([bulk.pk], 2) == 1
        assert rules.seats_reserved_from([urgent.pk], 2) == 0
        self.queue(bulk, 60)
        told, firsts, answer = threading.Event(), iter([True]), server.answer

        def hold_the_first(verb):
            if verb == "." and next(firsts, False):
                told.wait(60)
            return answer(verb)

        server.answer = hold_the_first  # bulk's session waits
        bulk_worker = threading.Thread(target=deliver)
        bulk_worker.start()
        wait_until(lambda: server.messages, seconds=30, what="bulk's first message")
        self.queue(urgent, 1)
        deliver("transactional")
        assert Message.objects.get(stream=urgent).status == "accepted"
        told.set()
        bulk_worker.join()
        assert server.most <= 2


@pytest.mark.django_db(transaction=True)
class TestClaimsOnlyWhatASessionMayTake:
    @pytest.fixture
    def runs(self, monkeypatch):
        monkeypatch.setattr(WorkerProcess, "_beat", lambda self: None)
        workers = [WorkerProcess("bulk") for _ in range(2)]
        runs = [Delivery(worker, "bulk", should_stop=lambda: False) for worker in workers]
        yield runs
        for run, worker in zip(runs, workers, strict=True):
            run.finish()
            worker.stop()

    def queue(self, number, **fields):
        stream = make_stream(transport=make_transport(**fields))
        for _ in range(number):
            make_message(stream=stream, token_key_id=current_token_key_id())

    def claim(self, run):
        """Look after transports as if a moment had passed; return the one there is."""
        if run._seating is not None:
            run._seating._keeper._answers.clear()
        if run._claimer is not None:
            run._claimer._known.clear()
        run._claim_more()
        run._committer.commit_waiting(timeout=0)
        (lane,) = run._lanes.values()
        return lane

    def claimed(self):
        return QueueEntry.objects.filter(worker_id__isnull=False).count()

    def test_who_has_no_seat_claims_nothing_and_waits_for_one(self, runs):
        first, second = runs
        self.queue(1, max_sessions=1)
        assert len(self.claim(first).jobs) == 1
        make_message(stream=Message.objects.get().stream, token_key_id=current_token_key_id())
        assert not self.claim(second).jobs
        assert second._is_busy()
        first._leave_seats()
        assert len(self.claim(second).jobs) == 1
        assert second._is_busy()

    def test_who_left_its_seats_claims_nothing_while_another_has_them(self, runs):
        first, second = runs
        self.queue(1, max_sessions=1)
        for run in runs:  # each had the seat once
            run._leave_seats()
            self.claim(run)
            run._leave_seats()
        assert self.claim(first).seats == 1
        make_message(stream=Message.objects.get().stream, token_key_id=current_token_key_id())
        before = self.claimed()
        assert not self.claim(second).seats
        assert self.claimed() == before

    def test_where_nothing_is_due_nobody_asks_for_a_seat(self, runs):
        self.queue(0)
        self.claim(runs[0])
        assert not Seat.objects.exclude(wanted=0).exists()
        assert not runs[0]._is_busy()

    def test_who_lost_its_seats_gives_its_claims_back(self, runs, monkeypatch):
        self.queue(3)
        assert len(self.claim(runs[0]).jobs) == 3
        monkeypatch.setattr(SeatKeeper, "seats", lambda *_, **__: 0)
        assert len(self.claim(runs[0]).jobs) == 3, "for a moment"
        monkeypatch.setattr(seating, "SEATLESS_SECONDS", -1.0)
        assert not self.claim(runs[0]).jobs
        assert self.claimed() == 0

    def test_one_message_alone_probes_a_transport(self, runs):
        self.queue(5, breaker="open", failures=4)
        lane = self.claim(runs[0])
        assert (len(lane.jobs), lane.seats) == (1, 1)
        assert len(self.claim(runs[0]).jobs) == 1, "it waits"
        lane.enter("a session")
        lane.jobs.clear()
        assert not self.claim(runs[0]).jobs, "it is spoken of"
        lane.resting.add("a session")
        assert len(self.claim(runs[0]).jobs) == 1, "it was answered"
        lane.leave("a session")

    def test_what_probes_goes_back_where_no_session_opens(self, runs, monkeypatch):
        self.queue(1, breaker="open", failures=4)
        lane = self.claim(runs[0])
        lane.enter("a session that opens")
        monkeypatch.setattr(seating, "PROBE_SECONDS", -1.0)
        assert not self.claim(runs[0]).jobs
        assert self.claimed() == 0
        monkeypatch.setattr(seating, "PROBE_SECONDS", 60.0)
        assert not self.claim(runs[0]).jobs, "the session may never open"
        lane.resting.add("a session that opens")
        assert len(self.claim(runs[0]).jobs) == 1
        lane.leave("a session that opens")
