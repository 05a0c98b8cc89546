"""Sweeps, death verdicts, expansion and completion."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from threading import Event
from zlib import crc32

import psycopg
import pytest
from django.db import Error, InternalError, OperationalError, connection, transaction
from django.db.models import BooleanField, F, Func, Sum
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mailops.audiences.models import Contact
from mailops.campaigns.models import Campaign
from mailops.campaigns.preflight import start_preflight
from mailops.campaigns.rehearsing import check_chunk
from mailops.dispatch import expansion, sweeping, ticking
from mailops.dispatch.completion import complete_finished
from mailops.dispatch.expansion import CHUNK, expand_chunk, expand_for_a_while, expand_running
from mailops.dispatch.models import Worker
from mailops.dispatch.sweeping import (
    DeathWatch,
    sweep_claims_of_the_gone,
    sweep_expired,
    sweep_newly_suppressed,
    sweep_queue,
)
from mailops.dispatch.ticking import hearers, take_steps
from mailops.lib import dns_answers
from mailops.lib.chunks import MAX_FAILURES
from mailops.lib.dns_answers import Answer
from mailops.lib.mailbox_providers import ProviderCache
from mailops.outbox.canceling import cancel_campaign, sweep_canceled
from mailops.outbox.closing import close_set
from mailops.outbox.models import EventKind, Message, QueueEntry, Status, Tally
from mailops.outbox.recording import Outcome, record
from mailops.outbox.retrying import retry_message
from mailops.outbox.settling import hold, release, settle_as_accepted
from mailops.suppressions.models import Suppression
from tests.engine import database_url
from tests.factories import (
    make_audience,
    make_campaign,
    make_message,
    make_stream,
    make_suppression,
    make_transport,
)
from tests.outbox.doubts import doubt, make_doubtful
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db


def make_worker(**fields):
    return Worker.objects.create(lane="bulk", host="test", pid=1, **fields)


def claim(message, worker, *, fence=7, marked=False):
    QueueEntry.objects.filter(pk=message.pk).update(
        worker_id=worker.pk, fence=fence, marked_at=timezone.now() if marked else None
    )


@contextmanager
def read_only():
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        try:
            yield
        finally:
            cursor.execute("SET default_transaction_read_only = off")


def status(message):
    return Message.objects.get(pk=message.pk).status


def connect_again():
    """Return a second connection to the test's database, in a transaction."""
    return psycopg.connect(database_url())


def sweep_in_own_connection():
    try:
        sweep_claims_of_the_gone()
    finally:
        connection.close()


def someone_waits_for_a_lock():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0]


class PausesForTheTest(Func):
    """Has a statement wait in its midst, after it has seen what it reads, for who holds the lock."""

    KEY = 7_070
    template = f"(pg_advisory_xact_lock_shared({KEY})::text IS NOT NULL)"
    output_field = BooleanField()


class TestSteps:
    def test_a_step_that_fails_does_not_keep_the_others_from_theirs(self, monkeypatch, caplog):
        def fail():
            raise RuntimeError("a bug of ours")

        done = []
        monkeypatch.setattr(ticking, "STEPS", (fail, lambda: done.append("next")))
        take_steps()
        assert done == ["next"]
        assert "a bug of ours" in caplog.text


class TestSweeps:
    def test_a_suppression_closes_open_messages_of_its_stream(self):
        message, other = (
            make_message(recipient="a@x.example"),
            make_message(recipient="a@x.example"),
        )
        Suppression.objects.create(
            address="A@x.example",
            address_key="a@x.example",
            stream=message.stream,
            reason="complaint",
        )
        take_steps()
        assert (status(message), status(other)) == (Status.SUPPRESSED, Status.QUEUED)

    def test_an_older_suppression_closes_what_was_queued_since_in_its_own_time(self):
        suppression = Suppression.objects.create(
            address="a@x.example", address_key="a@x.example", reason="complaint"
        )
        Suppression.objects.filter(pk=suppression.pk).update(
            created_at=timezone.now() - timedelta(days=1)
        )
        message = make_message(recipient="a@x.example")
        take_steps()
        assert status(message) == Status.QUEUED
        sweep_queue()
        assert status(message) == Status.SUPPRESSED

    def test_an_expired_suppression_stops_nobody(self):
        message = make_message(recipient="a@x.example")
        past = timezone.now() - timedelta(days=1)
        Suppression.objects.create(
            address="a", address_key="a@x.example", reason="manual", expires_at=past
        )
        sweep_queue()
        assert status(message) == Status.QUEUED

    def test_gives_up_after_the_stream_s_patience_but_not_on_held_ones(self):
        late, held = make_message(), make_message()
        QueueEntry.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        QueueEntry.objects.filter(pk=held.pk).update(is_held=True)
        Message.objects.filter(pk=held.pk).update(status=Status.HELD)
        sweep_queue()
        assert (status(late), status(held)) == (Status.EXPIRED, Status.HELD)

    def test_says_of_what_was_never_tried_that_it_waited_and_what_helps(self):
        untried, refused, claimed, again = (make_message() for _ in range(4))
        QueueEntry.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        QueueEntry.objects.filter(pk=refused.pk).update(attempts=1)
        QueueEntry.objects.filter(pk=claimed.pk).update(transport_id=make_transport().pk)
        Message.objects.filter(pk=again.pk).update(round=1)
        sweep_queue()
        told = {one.pk: one for one in Message.objects.filter(status=Status.EXPIRED)}
        assert told[untried.pk].reason == "untried"
        assert "never tried" in told[untried.pk].sentence
        assert "Give the stream more time" in told[untried.pk].sentence
        assert {told[one.pk].reason for one in (refused, claimed, again)} == {"expired"}

    def test_reads_the_queue_once_where_nothing_is_late(self, django_assert_num_queries):
        make_message()
        with django_assert_num_queries(1):
            assert sweep_expired() == 0

    def test_what_a_person_lets_go_has_its_stream_s_time_anew(self, operator):
        held, doubtful = make_message(), make_doubtful(guarantee="ask")
        hold(message=held, actor=operator)
        QueueEntry.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert release(message=held, actor=operator)
        assert retry_message(message=doubtful, actor=operator)
        sweep_queue()
        assert (status(held), status(doubtful)) == (Status.QUEUED, Status.QUEUED)

    def test_what_may_have_left_is_neither_suppressed_nor_canceled(self, operator):
        campaign = make_campaign(state=Campaign.State.RUNNING, expanded_at=timezone.now())
        asking = make_doubtful(guarantee="ask", campaign=campaign)
        held = make_message(campaign=campaign, stream=asking.stream)
        hold(message=held, actor=operator)
        make_suppression(address=asking.recipient)
        take_steps()
        sweep_queue()
        assert cancel_campaign(campaign=campaign, actor=operator)
        assert (status(asking), status(held)) == (Status.HELD, Status.CANCELED)
        asking.refresh_from_db()
        assert settle_as_accepted(message=asking, actor=operator)

    def test_what_asks_of_a_canceled_campaign_is_not_looked_for_in_each_tick(self, operator):
        campaign = make_campaign(state=Campaign.State.RUNNING, expanded_at=timezone.now())
        asking = make_doubtful(guarantee="ask", campaign=campaign)
        assert cancel_campaign(campaign=campaign, actor=operator)
        with CaptureQueriesContext(connection) as asked:
            assert sweep_canceled() == 0
        assert not [one for one in asked if "FOR UPDATE" in one["sql"]]
        held = make_message(campaign=campaign, stream=asking.stream)
        hold(message=held, actor=operator)
        assert sweep_canceled() == 1
        assert (status(asking), status(held)) == (Status.HELD, Status.CANCELED)

    def test_what_is_sent_again_from_a_doubt_has_its_stream_s_time_anew(self):
        transport = make_transport()
        message = make_message(stream=make_stream(transport=transport, guarantee="resend"))
        QueueEntry.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        owed_at = QueueEntry.objects.get().owed_at
        doubt(message, transport)
        sweep_queue()
        assert (status(message), message.round) == (Status.QUEUED, 1)
        assert QueueEntry.objects.get().owed_at == owed_at

    def test_what_was_sent_again_from_a_doubt_is_in_doubt_again_once_it_is_given_up(self):
        transport = make_transport()
        message = make_message(stream=make_stream(transport=transport, guarantee="resend"))
        doubt(message, transport)
        before = message.settling_fence
        QueueEntry.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        sweep_queue()
        message.refresh_from_db()
        assert (message.status, message.settling_fence) == (Status.UNCERTAIN, before)
        assert message.sentence.startswith("It was sent before, and nobody knows")
        shown = Tally.objects.filter(measure="status").values_list("kind").annotate(Sum("n"))
        assert {kind: n for kind, n in shown if n > 0} == {"uncertain": 1}

    def test_a_hold_by_itself_moves_no_expiry(self, operator):
        message = make_message()
        before = QueueEntry.objects.get().expires_at
        hold(message=message, actor=operator)
        assert QueueEntry.objects.get().expires_at == before

    def test_many_suppressed_at_once_are_left_to_the_reading_of_the_whole_queue(self, monkeypatch):
        monkeypatch.setattr(sweeping, "MOST_NEW", 2)
        message = make_message()
        make_suppression(address=message.recipient, address_key=message.address_key)
        for address in ("a@example.com", "b@example.com"):
            make_suppression(address=address)
        assert sweep_newly_suppressed() == 0
        sweep_queue()
        assert status(message) == Status.SUPPRESSED

    def test_a_few_suppressed_are_looked_up_at_once(self):
        message = make_message()
        make_suppression(address=message.recipient, address_key=message.address_key)
        assert sweep_newly_suppressed() == 1

    def test_those_suppressed_lately_and_their_messages_are_read_before_the_queue(self):
        make_message()
        make_suppression(address="somebody.else@example.com")
        with CaptureQueriesContext(connection) as captured:
            assert sweep_newly_suppressed() == 0
        (swept,) = (each["sql"] for each in captured if "chosen" in each["sql"])
        assert "InitPlan 2" in _plan(swept)  # whatever the statistics say

    def test_spares_what_is_marked(self):
        message = make_message()
        claim(message, make_worker(), marked=True)
        QueueEntry.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        sweep_queue()
        assert status(message) == Status.QUEUED

    @pytest.mark.parametrize("gone", ["dead_at", "stopped_at"])
    def test_frees_the_claims_of_the_gone_and_calls_their_marked_ones_uncertain(self, gone):
        claimed, marked, living = make_message(), make_message(), make_message()
        worker, other = make_worker(**{gone: timezone.now()}), make_worker()
        claim(claimed, worker)
        claim(marked, worker, fence=8, marked=True)
        claim(living, other, fence=9, marked=True)
        QueueEntry.objects.filter(pk=marked.pk).update(transport_id=marked.stream.transport.pk)
        take_steps()
        assert (status(claimed), status(marked), status(living)) == (
            "queued",
            "uncertain",
            "queued",
        )
        assert QueueEntry.objects.get(pk=claimed.pk).fence is None
        assert QueueEntry.objects.get(pk=living.pk).fence == 9
        marked.refresh_from_db()
        assert marked.transport == marked.stream.transport  # whose log may tell what became of it

    @pytest.mark.django_db(transaction=True)
    def test_a_mark_that_commits_beside_the_sweep_is_kept_and_becomes_uncertain(self):
        """The verdict of death can fall while a mark is on its way: what it let out must never be freed."""
        message = make_message()
        worker = make_worker(dead_at=timezone.now())
        claim(message, worker)
        with ThreadPoolExecutor(1) as pool, connect_again() as other:
            other.execute(
                "UPDATE outbox_queueentry SET marked_at = clock_timestamp() WHERE message_id = %s",
                [message.pk],
            )
            sweeping_beside = pool.submit(sweep_in_own_connection)
            wait_until(someone_waits_for_a_lock, seconds=10, what="the sweep to meet the mark")
            other.commit()
            sweeping_beside.result(10)
        assert status(message) == Status.UNCERTAIN
        assert not QueueEntry.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_what_is_held_beside_the_sweep_does_not_expire(self, operator):
        """A sweep of a long queue meets rows that changed since it began."""
        message = make_message()
        QueueEntry.objects.update(expires_at=timezone.now() - timedelta(hours=1))

        def expire():
            try:
                late = QueueEntry.objects.filter(PausesForTheTest(), is_held=False)
                return close_set(
                    kind=EventKind.EXPIRED, entries=late, source="outbox", reason="", sentence=""
                )
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool, connect_again() as other:
            other.execute("SELECT pg_advisory_xact_lock(%s)", [PausesForTheTest.KEY])
            sweeping_beside = pool.submit(expire)
            wait_until(someone_waits_for_a_lock, seconds=10, what="the sweep to have begun")
            assert hold(message=message, actor=operator)
            other.commit()
            assert sweeping_beside.result(10) == 0
        assert status(message) == Status.HELD
        assert QueueEntry.objects.get().is_held

    def test_a_cancel_sweep_closes_what_a_late_deferral_reopened(self):
        campaign = make_campaign(state=Campaign.State.RUNNING)
        message = make_message(stream=campaign.stream, campaign=campaign)
        claim(message, make_worker(), marked=True)
        cancel_campaign(campaign=campaign, actor=None)
        assert status(message) == Status.QUEUED
        record(
            [
                Outcome(
                    message_id=message.pk,
                    kind=EventKind.DEFERRED,
                    source="dispatch",
                    external_id="7:reply",
                    fence=7,
                )
            ]
        )
        take_steps()
        assert status(message) == Status.CANCELED


class TestDeathWatch:
    @pytest.fixture
    def clock(self, monkeypatch, settings):
        settings.MAILOPS_HEARTBEAT_SECONDS, settings.MAILOPS_DEAD_AFTER_SECONDS = 5.0, 30.0
        now = [1000.0]
        monkeypatch.setattr(sweeping.time, "monotonic", lambda: now[0])
        return now

    def look(self, watch, clock, times, seconds=5.0):
        dead = 0
        for _ in range(times):
            clock[0] += seconds
            dead += watch.look()
        return dead

    def test_declares_a_still_heart_dead_after_thirty_seconds(self, clock):
        worker, watch = make_worker(), DeathWatch()
        assert self.look(watch, clock, 6) == 0
        assert self.look(watch, clock, 2) == 1
        worker.refresh_from_db()
        assert worker.dead_at is not None

    def test_a_beating_heart_lives(self, clock):
        worker, watch = make_worker(), DeathWatch()
        for beat in range(20):
            Worker.objects.update(beats=beat)
            assert self.look(watch, clock, 1) == 0
        worker.refresh_from_db()
        assert worker.is_alive

    def test_time_without_readings_counts_as_one_reading(self, clock):
        make_worker()
        watch = DeathWatch()
        self.look(watch, clock, 2)
        assert self.look(watch, clock, 1, seconds=3600) == 0

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("seconds", [31, 34, 60])
    @pytest.mark.parametrize("still_for", [0, 29])
    def test_while_the_database_can_only_be_read_no_heart_can_beat(self, clock, seconds, still_for):
        living, dead = make_worker(), make_worker()
        watch = DeathWatch()

        def beat_and_look(times):
            for second in range(times):
                if second % 5 == 4:
                    Worker.objects.filter(pk=living.pk).update(beats=F("beats") + 1)
                self.look(watch, clock, 1, seconds=1.0)

        beat_and_look(still_for + 1)
        with read_only():
            for _ in range(seconds):
                with suppress(Error):
                    self.look(watch, clock, 1, seconds=1.0)
        beat_and_look(32)
        living.refresh_from_db()
        dead.refresh_from_db()
        assert (living.is_alive, dead.is_alive) == (True, False)


class TestExpansion:
    def test_makes_one_message_a_member_and_counts_the_invalid_apart(self):
        audience = make_audience("a@x.example", "b@x.example", "jürgen@x.example")
        campaign = make_campaign(audience=audience, state=Campaign.State.RUNNING)
        assert expand_running() == 2
        campaign.refresh_from_db()
        assert (campaign.planned, campaign.invalid, campaign.duplicates) == (2, 1, 0)
        assert campaign.expanded_at is not None
        assert QueueEntry.objects.count() == 2
        assert Tally.objects.get().n == 2

    def test_makes_as_many_as_the_rehearsal_said(self):
        audience = make_audience("a@x.example", '"john doe"@x.example', "jürgen@x.example")
        Contact.objects.update(attributes={"first_name": "A"})
        campaign = make_campaign(audience=audience)
        rehearsal = start_preflight(campaign=campaign, actor=None)
        assert not check_chunk(preflight_id=rehearsal.pk)
        rehearsal.refresh_from_db()
        campaign.start(actor=None)
        expand_running()
        campaign.refresh_from_db()
        assert (rehearsal.sendable, rehearsal.invalid) == (2, 1)
        assert (campaign.planned, campaign.invalid) == (2, 1)

    def test_closes_at_its_end_what_was_suppressed_before(self):
        suppression = Suppression.objects.create(
            address="a@x.example", address_key="a@x.example", reason="complaint"
        )
        Suppression.objects.filter(pk=suppression.pk).update(
            created_at=timezone.now() - timedelta(days=1)
        )
        audience = make_audience("a@x.example", "b@x.example")
        make_campaign(state=Campaign.State.RUNNING, audience=audience)
        expand_running()
        assert dict(Message.objects.values_list("recipient", "status")) == {
            "a@x.example": "suppressed",
            "b@x.example": "queued",
        }

    def test_works_in_chunks_and_can_be_repeated(self, monkeypatch):
        monkeypatch.setattr("mailops.dispatch.expansion.CHUNK", 2)
        campaign = make_campaign(
            audience=make_audience(*(f"r{n}@x.example" for n in range(5))),
            state=Campaign.State.RUNNING,
        )
        assert [expand_chunk(campaign.pk) for _ in range(4)] == [2, 2, 1, 0]
        campaign.refresh_from_db()
        assert campaign.planned == 5
        assert CHUNK > 2

    @pytest.mark.parametrize(("chunks", "made"), [(0, 0), (1, 2), (3, 5)])
    def test_what_is_canceled_meanwhile_plans_what_was_made(self, monkeypatch, chunks, made):
        monkeypatch.setattr("mailops.dispatch.expansion.CHUNK", 2)
        campaign = make_campaign(audience=make_audience(*(f"r{n}@x.example" for n in range(5))))
        campaign.start(actor=None)
        for _ in range(chunks):
            expand_chunk(campaign.pk)
        cancel_campaign(campaign=campaign, actor=None)
        assert expand_running() == 0
        campaign.refresh_from_db()
        assert campaign.planned == made
        assert campaign.expanded_at is not None
        assert campaign.leaves_unread is (made < 5)

    def test_an_empty_audience_completes(self):
        campaign = make_campaign(state=Campaign.State.RUNNING)
        expand_running()
        assert complete_finished() == 1
        campaign.refresh_from_db()
        assert (campaign.state, campaign.planned) == (Campaign.State.COMPLETED, 0)

    @pytest.fixture
    def two(self):
        """Return two campaigns whose rows are to be made."""
        return [
            make_campaign(
                state=Campaign.State.RUNNING,
                audience=make_audience(address),
                started_at=timezone.now(),
            )
            for address in ("a@x.example", "b@x.example")
        ]

    def break_for(self, campaign, error, monkeypatch):
        expand = expansion.expand_chunk

        def expand_or_fail(campaign_id):
            if campaign_id == campaign.pk:
                raise error
            return expand(campaign_id)

        monkeypatch.setattr(expansion, "expand_chunk", expand_or_fail)

    def test_an_audience_that_cannot_be_read_pauses_its_campaign_and_no_other(
        self, two, monkeypatch
    ):
        first, second = two
        self.break_for(first, RuntimeError("a bug of ours"), monkeypatch)
        assert expand_running() == 1
        first.refresh_from_db()
        assert (first.state, first.pause_cause, first.pause_detail) == (
            Campaign.State.PAUSED,
            "fault",
            "RuntimeError('a bug of ours')",
        )
        assert Message.objects.get().campaign == second

    def test_an_audience_that_the_database_breaks_off_holds_up_no_younger_one(
        self, two, monkeypatch
    ):
        first, second = two
        broken_off = OperationalError()
        broken_off.__cause__ = psycopg.errors.DeadlockDetected()
        self.break_for(first, broken_off, monkeypatch)
        with pytest.raises(OperationalError):
            expand_running(seconds=0)
        assert Message.objects.get().campaign == second
        first.refresh_from_db()
        assert first.is_running

    def be_broken_off(self, *_):
        with connection.cursor() as cursor:
            cursor.execute(
                "DO $$ BEGIN RAISE EXCEPTION 'it took too long' USING ERRCODE = 'query_canceled'; END $$"
            )

    def expand_in_vain(self, *, times):
        for _ in range(times):
            with pytest.raises(OperationalError):
                expand_running()

    def test_an_audience_that_the_database_breaks_off_each_time_pauses_its_campaign(
        self, monkeypatch
    ):
        campaign = make_campaign(audience=make_audience("a@x.example"), state="running")
        with monkeypatch.context() as patch:
            patch.setattr(expansion, "_expand", self.be_broken_off)
            self.expand_in_vain(times=MAX_FAILURES - 1)
            assert Campaign.objects.get().is_running
            self.expand_in_vain(times=1)
            campaign.refresh_from_db()
            assert (campaign.state, campaign.pause_cause) == (Campaign.State.PAUSED, "fault")
            assert "broke off the reading of the audience 5 times" in campaign.pause_sentence
            assert "it took too long" in campaign.pause_detail
            assert expand_running() == 0

    def test_what_the_database_broke_off_is_tried_as_often_again_once_resumed(self, monkeypatch):
        campaign = make_campaign(
            audience=make_audience("a@x.example"), state="running", started_at=timezone.now()
        )
        with monkeypatch.context() as patch:
            patch.setattr(expansion, "_expand", self.be_broken_off)
            self.expand_in_vain(times=MAX_FAILURES)
            campaign.resume()
            self.expand_in_vain(times=MAX_FAILURES - 1)
        assert expand_running() == 1
        campaign.refresh_from_db()
        assert (campaign.is_running, campaign.expansion_failures) == (True, 0)

    @pytest.mark.parametrize(
        "cause",
        [
            psycopg.errors.AdminShutdown,
            psycopg.errors.DiskFull,
            psycopg.errors.DeadlockDetected,
            psycopg.errors.LockNotAvailable,
        ],
    )
    def test_trouble_of_the_database_s_own_pauses_nothing_however_often(
        self, two, monkeypatch, cause
    ):
        away = OperationalError()
        away.__cause__ = cause()
        self.break_for(two[0], away, monkeypatch)
        self.expand_in_vain(times=MAX_FAILURES + 1)
        assert Campaign.objects.running().count() == 2

    def test_a_process_that_was_frozen_in_the_midst_of_it_pauses_nothing(self, monkeypatch):
        make_campaign(audience=make_audience("a@x.example"), state=Campaign.State.RUNNING)

        def expand_in_vain(_):
            raise InternalError from psycopg.errors.IdleInTransactionSessionTimeout()

        monkeypatch.setattr(expansion, "expand_chunk", expand_in_vain)
        with pytest.raises(InternalError):
            expand_running()
        assert Campaign.objects.get().is_running

    def test_stops_when_its_time_is_over_and_tells_that_there_is_more(self, monkeypatch):
        monkeypatch.setattr(expansion, "CHUNK", 2)
        monkeypatch.setattr(expansion, "expand_running", partial(expand_running, seconds=0))
        audience = make_audience(*(f"r{n}@x.example" for n in range(3)))
        make_campaign(audience=audience, state=Campaign.State.RUNNING)
        assert expand_for_a_while()
        assert Message.objects.count() == 2
        assert not expand_for_a_while()
        assert Message.objects.count() == 3

    def test_one_process_at_a_time(self):
        make_campaign(audience=make_audience("a@x.example"), state=Campaign.State.RUNNING)
        with connect_again() as other:
            other.execute("SELECT pg_advisory_lock(%s)", [crc32(b"dispatch.expand")])
            assert not expand_for_a_while()
            assert not Message.objects.exists()
            # not by its end alone: the server notices that a little later
            other.execute("SELECT pg_advisory_unlock(%s)", [crc32(b"dispatch.expand")])
        assert not expand_for_a_while()
        assert Message.objects.count() == 1

    def test_hints_to_the_lane_with_every_chunk(self, django_capture_on_commit_callbacks):
        campaign = make_campaign(
            audience=make_audience("a@x.example"), state=Campaign.State.RUNNING
        )
        with django_capture_on_commit_callbacks() as callbacks:
            expand_chunk(campaign.pk)
        assert [each.args for each in callbacks] == [("bulk",)]

    def test_what_ends_between_its_last_chunk_and_its_count_is_counted_the_next_time(
        self, monkeypatch
    ):
        campaign = make_campaign(
            audience=make_audience("a@x.example"), state=Campaign.State.RUNNING
        )

        def die(campaign_id):
            raise OperationalError

        with monkeypatch.context() as killed:
            killed.setattr(expansion, "_finish", die)
            with pytest.raises(OperationalError):
                expand_chunk(campaign.pk)
        campaign.refresh_from_db()
        assert (campaign.planned, campaign.expanded_at) == (None, None)
        assert expand_running() == 0
        campaign.refresh_from_db()
        assert (campaign.planned, campaign.expanded_at is None) == (1, False)

    def test_a_silent_name_server_names_by_the_domain(self, monkeypatch):
        is_made = Event()
        monkeypatch.setattr(expansion, "DNS_SECONDS", 0)
        silent = ProviderCache(lambda *_: is_made.wait() and Answer(dns_answers.Status.TIMEOUT))
        monkeypatch.setattr("mailops.lib.resolver._providers", silent)
        make_campaign(audience=make_audience("a@x.example"), state=Campaign.State.RUNNING)
        assert expand_running() == 1
        is_made.set()
        assert Message.objects.get().mailbox_provider == "x.example"

    def test_who_was_not_asked_for_is_named_by_the_beginning_of_a_long_domain(self, monkeypatch):
        monkeypatch.setattr(expansion, "mailbox_providers", lambda *_, **__: {})
        domain = f"{'long.' * 30}example"
        make_campaign(audience=make_audience(f"ada@{domain}"), state=Campaign.State.RUNNING)
        assert expand_running() == 1
        assert Message.objects.get().mailbox_provider == domain[:100]

    @pytest.mark.django_db(transaction=True)
    def test_a_chunk_keeps_nobody_from_its_stream(self):
        campaign = make_campaign(state=Campaign.State.RUNNING)
        with transaction.atomic(), connect_again() as other:
            assert expansion._locked(campaign.pk) == campaign
            lock = "SELECT id FROM transports_stream WHERE id = %s FOR UPDATE NOWAIT"
            assert other.execute(lock, [campaign.stream_id]).fetchone() == (campaign.stream_id,)

    def test_a_paused_campaign_is_not_expanded(self):
        make_campaign(audience=make_audience("a@x.example"), state=Campaign.State.PAUSED)
        assert expand_running() == 0

    def test_who_joins_after_the_launch_gets_nothing(self, monkeypatch):
        monkeypatch.setattr("mailops.dispatch.expansion.CHUNK", 1)
        audience = make_audience("a@x.example", "b@x.example")
        campaign = make_campaign(audience=audience, state=Campaign.State.RUNNING)
        expand_chunk(campaign.pk)
        late = make_audience("late@x.example").memberships.get()
        type(late).objects.create(audience=audience, contact=late.contact)
        expand_running()
        assert sorted(Message.objects.values_list("recipient", flat=True)) == [
            "a@x.example",
            "b@x.example",
        ]


class TestCompletion:
    def test_waits_for_the_last_open_message(self):
        campaign = make_campaign(
            audience=make_audience("a@x.example"), state=Campaign.State.RUNNING
        )
        expand_running()
        assert complete_finished() == 0
        message = Message.objects.get()
        record(
            [
                Outcome(
                    message_id=message.pk,
                    kind=EventKind.ACCEPTED,
                    source="dispatch",
                    external_id="1:reply",
                )
            ]
        )
        assert complete_finished() == 1
        assert complete_finished() == 0
        campaign.refresh_from_db()
        assert campaign.finished_at is not None

    def test_a_paused_campaign_is_not_completed(self):
        make_campaign(state=Campaign.State.PAUSED, expanded_at=timezone.now(), planned=0)
        assert complete_finished() == 0


class TestHints:
    def test_a_lane_has_work_when_something_is_due_or_claimed(self):
        assert hearers() == {}
        message = make_message()
        assert hearers() == {"bulk": 1}
        QueueEntry.objects.update(due_at=timezone.now() + timedelta(hours=1))
        assert hearers() == {}
        claim(message, make_worker())
        assert hearers() == {"bulk": 2}

    def test_a_claim_is_looked_for_without_reading_the_queue(self):
        worker = make_worker()
        for _ in range(60):
            claim(make_message(), worker)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE outbox_queueentry")  # as far as it knows, all are claimed
        QueueEntry.objects.update(worker_id=None, due_at=timezone.now() + timedelta(hours=1))
        with CaptureQueriesContext(connection) as captured:
            assert hearers() == {}
        (look,) = (each["sql"] for each in captured if "= 'bulk'" in each["sql"])
        assert "entry_by_worker" in _plan(look)

    def test_every_living_worker_of_the_lane_hears_of_it(self):
        make_message()
        now = timezone.now()
        make_worker(dead_at=now)
        make_worker(stopped_at=now)
        Worker.objects.create(lane="transactional", host="test", pid=1)
        assert hearers() == {"bulk": 1}
        make_worker()
        make_worker()
        assert hearers() == {"bulk": 3}  # and one that may have no row yet


def _plan(statement: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}")
        return "\n".join(line for (line,) in cursor.fetchall())
