"""A database restored from a backup: seen by the file outside of it, and nothing leaves twice by itself."""

import fcntl
import logging
import subprocess
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import OperationalError, connection, connections
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.campaigns.models import Campaign
from mailops.dispatch import delivery, epochs, restoring
from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.delivery import Delivery
from mailops.dispatch.epochs import CLAIMED, COMMITTED, EpochFile, Remembered, epoch
from mailops.dispatch.holding import holds_of
from mailops.dispatch.models import Lineage, Worker
from mailops.dispatch.sweeping import keep_hours_for_a_while, sweep_expired
from mailops.dispatch.tasks import sweep_queue
from mailops.dispatch.ticking import tick
from mailops.dispatch.working import WorkerProcess
from mailops.lib.postgres import Server
from mailops.outbox import relay_log_verdicts
from mailops.outbox.bulk_settling import settle_chunk, start_settlement
from mailops.outbox.doubtful import Choice, moment
from mailops.outbox.models import Event, Message, QueueEntry, Settlement
from mailops.outbox.relay_log_reading import Reading
from mailops.outbox.relay_log_taking import take_log
from mailops.outbox.resending import resend_chunk, start_resending
from mailops.outbox.resuming import give_whole_time, resume_campaign
from mailops.outbox.tokens import current_token_key_id
from mailops.transports.models import Route
from tests.factories import make_audience, make_campaign, make_message, make_stream, make_transport
from tests.outbox.doubts import make_doubtful, make_settlement
from tests.postfix import Postfix
from tests.smtp_server import SmtpServer

RECIPIENTS = 20
LONG_AGO = "2026-01-01T00:00Z"


@pytest.fixture(autouse=True)
def machine(monkeypatch, settings, tmp_path):
    """A machine with a file of its own; its processes beat when a test says so."""
    settings.MAILOPS_EPOCH_FILE = tmp_path / "epochs"
    monkeypatch.setattr(WorkerProcess, "_beat", lambda self: None)
    monkeypatch.setattr(delivery, "LINGER_SECONDS", 0.05)  # one claim takes all that is due
    _restart_process()
    yield
    _restart_process()


def _restart_process():
    epoch.__init__()


def received(server):
    """Return the recipients of what the receiver took, by its own account."""
    taken = [
        line for message in server.messages for line in message.splitlines() if line[:4] == b"To: "
    ]
    return [line[4:].decode() for line in taken]


def deliver(server, *, until=10**6):
    """Send in one process, which finds no more due than brings the whole to `until` messages."""
    gone = Message.objects.filter(status="accepted").count()
    due = QueueEntry.objects.order_by("pk").values_list("pk", flat=True)[: max(until - gone, 0)]
    QueueEntry.objects.exclude(pk__in=list(due)).update(due_at="2126-01-01T00:00Z")
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    run.run()
    run.finish()
    worker.beat()
    worker.stop()
    QueueEntry.objects.update(due_at="2026-01-01T00:00Z")


def launch(server, **fields):
    stream = make_stream(transport=make_transport(port=server.port, max_sessions=1), kind="bulk")
    campaign = make_campaign(
        stream=stream,
        **{
            "state": "running",
            "started_at": LONG_AGO,
            "expanded_at": LONG_AGO,
            "planned": RECIPIENTS,
            **fields,
        },
    )
    for number in range(RECIPIENTS):
        make_message(
            stream=stream,
            campaign=campaign,
            recipient=f"r{number}@x.example",
            token_key_id=current_token_key_id(),
        )
    return campaign


class Backup:
    """A real pg_dump of the test's database, and a real restore of it."""

    def __init__(self, folder):
        self._file = folder / "dump"
        self._binaries = Server(django_settings.MAILOPS_HOME).binaries
        database = connection.settings_dict
        self._name = database["NAME"]
        self._where = [
            f"--host={database['HOST']}", f"--username={database['USER']}",
            *([f"--port={database['PORT']}"] if database["PORT"] else []),
        ]  # fmt: skip

    def _run(self, program, *arguments):
        subprocess.run(
            [self._binaries / program, *self._where, *arguments], check=True, capture_output=True
        )

    def take(self):
        self._run("pg_dump", "--format=custom", f"--file={self._file}", self._name)

    def restore(self):
        connections.close_all()
        self._run(
            "psql", "--dbname=postgres", f'--command=DROP DATABASE "{self._name}" WITH (FORCE)'
        )
        self._run("psql", "--dbname=postgres", f'--command=CREATE DATABASE "{self._name}"')
        self._run("pg_restore", f"--dbname={self._name}", self._file)
        _restart_process()


@pytest.mark.django_db(transaction=True)
class TestRealRestore:
    @pytest.fixture
    def backup(self, tmp_path):
        return Backup(tmp_path)

    def test_in_mid_campaign_it_waits_for_a_person_and_tells_how_many_may_go_twice(
        self, server, backup
    ):
        campaign = launch(server)
        deliver(server, until=5)
        backup.take()
        deliver(server, until=12)
        before, last_event = len(server.messages), Event.objects.latest("pk").pk
        (last_fence,) = restoring.fetch_first("SELECT last_value FROM outbox_fence", [])
        backup.restore()

        deliver(server)
        assert len(server.messages) == before  # nothing leaves by itself
        campaign.refresh_from_db()
        assert (campaign.state, campaign.pause_cause) == ("paused", "restored")
        told = AuditEntry.objects.get(verb="database.restored").after["campaigns"][campaign.name]
        assert f"up to {told} of the" in campaign.pause_sentence

        campaign.resume()
        deliver(server)
        taken = received(server)
        doubled = len(taken) - len(set(taken))
        assert set(taken) == {f"r{number}@x.example" for number in range(RECIPIENTS)}
        assert 0 < doubled <= told < RECIPIENTS
        since = Event.objects.filter(pk__gt=last_event)
        assert since.filter(fence__gt=last_fence).count() == since.count() > 0  # W8
        assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}

    def test_without_a_restore_nothing_is_seen(self, server):
        launch(server)
        for until in (5, 12, 10**6):
            deliver(server, until=until)
            _restart_process()
            assert restoring.look() is None
        assert len(set(received(server))) == len(received(server)) == RECIPIENTS

    def test_a_dump_whose_sequence_is_younger_than_its_rows_is_seen(self, server, backup):
        campaign = launch(server)
        deliver(server, until=5)
        backup.take()
        deliver(server, until=12)
        (last_fence,) = restoring.fetch_first("SELECT last_value FROM outbox_fence", [])
        backup.restore()
        restoring.fetch_first("SELECT setval('outbox_fence', %s)", [last_fence])
        assert restoring.look().paused.keys() == {campaign.name}

    def test_a_process_that_lived_through_it_sees_it_too(self, server, backup):
        launch(server)
        worker = WorkerProcess("bulk")
        worker.ensure_alive()
        backup.take()
        epoch.note_claim(restoring.fetch_first("SELECT nextval('outbox_fence')", []))
        worker.beat()
        lineage = epoch.lineage
        backup.restore()
        epoch.begin(lineage, anew=True)
        epoch.claimed = epoch.committed = 1  # this process remembers
        worker.ensure_alive()
        assert Campaign.objects.get().pause_cause == "restored"


@pytest.mark.needs("postfix")
@pytest.mark.django_db(transaction=True)
class TestByTheRelaysLog:
    """With the relay's log a restore costs nobody a mail, and nobody gets one twice."""

    @pytest.fixture
    def relay(self, settings):
        with SmtpServer() as next_hop, Postfix(next_hop.port) as relay:
            settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", relay.port)})
            relay.next_hop = next_hop
            yield relay

    @pytest.fixture(autouse=True)
    def short_margins(self, monkeypatch):
        for margin in ("SKEW", "AFTERWARDS"):  # a test has no minutes
            monkeypatch.setattr(relay_log_verdicts, margin, timedelta())

    def test_nothing_is_lost_and_nothing_doubled(self, relay, tmp_path, operator):
        campaign = launch(relay)
        backup = Backup(tmp_path)
        deliver(relay, until=5)
        backup.take()
        deliver(relay, until=12)
        backup.restore()
        deliver(relay)
        campaign.refresh_from_db()
        assert campaign.was_restored

        act(Settlement.Act.DOUBT, operator, choice=Choice(campaign=campaign))
        taken = relay.log.count(b"(queue active)")
        content = relay.log_with(b": removed", taken)
        log = take_log(
            file=SimpleUploadedFile("mail.log", content), transport=campaign.stream.transport,
            time_zone="UTC", actor=operator, is_current=True,
        )  # fmt: skip
        reading = Reading(log.pk)
        while reading.read_chunk():
            pass
        log.refresh_from_db()
        sent_since = act(Settlement.Act.BY_LOG, operator, log=log).settled
        not_taken = act(Settlement.Act.AGAIN, operator, log=log).settled
        assert sent_since > 0
        assert taken + not_taken == RECIPIENTS

        campaign.resume()
        deliver(relay)
        relay.log_with(b": removed", RECIPIENTS)
        assert sorted(received(relay.next_hop)) == sorted(
            f"r{number}@x.example" for number in range(RECIPIENTS)
        )
        assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}


def act(kind, actor, **which):
    until, _ = moment()
    run = start_settlement(key=uuid4(), act=kind, actor=actor, until=until, **which)
    while settle_chunk(settlement_id=run.pk):
        pass
    run.refresh_from_db()
    return run


@pytest.mark.django_db
class TestWhatIsDone:
    def restore(self):
        """Let the file know more than the database."""
        restoring.look()
        epoch.note_commit(Lineage.objects.get().fence + 50)
        _restart_process()
        return restoring.look()

    def test_each_running_campaign_is_paused_with_its_number(self, server):
        campaign = launch(server)
        done = self.restore()
        assert done.paused == {campaign.name: RECIPIENTS}
        assert done.claims == 50
        campaign.refresh_from_db()
        assert "up to 20 of the 20 messages" in campaign.pause_sentence

    def test_no_more_than_was_claimed_since_can_go_twice(self, server):
        campaign = launch(server)
        restoring.look()
        epoch.note_commit(3)
        _restart_process()
        assert restoring.look().paused == {campaign.name: 3}

    def test_what_was_claimed_before_the_backup_may_have_left_after_it(self, server):
        campaign = launch(server)
        worker = Worker.objects.create(lane="bulk", host="h", pid=1, fence=8)
        for fence, entry in enumerate(QueueEntry.objects.order_by("pk")[:8], start=1):
            QueueEntry.objects.filter(pk=entry.pk).update(worker_id=worker.pk, fence=fence)
        restoring.look()
        epoch.note_commit(11)
        _restart_process()
        assert restoring.look().paused == {campaign.name: 11}

    def test_a_heart_that_beats_while_mail_leaves_shows_that_time_went_on(self):
        worker = WorkerProcess("bulk")
        worker.ensure_alive()
        worker.count_sessions = lambda: 1
        for _ in range(2):
            before = Worker.objects.get().fence
            worker.beat()
            assert Worker.objects.get().fence > before
        worker.count_sessions = lambda: 0
        before = Worker.objects.get().fence
        worker.beat()
        assert Worker.objects.get().fence == before

    def test_a_heart_that_beats_on_through_a_restore_does_not_hide_it(self, server):
        campaign = launch(server)
        worker = WorkerProcess("bulk")
        worker.ensure_alive()
        epoch.note_claim([7])
        worker.beat()
        Worker.objects.update(fence=0)  # as it was when the backup was made
        worker.beat()
        worker.ensure_alive()
        campaign.refresh_from_db()
        assert campaign.was_restored

    def test_a_heart_that_beats_while_its_row_is_asked_for_shows_no_restore(self):
        worker, acts = WorkerProcess("bulk"), []
        worker.count_sessions = lambda: 1
        row = worker.ensure_alive()

        def beat_behind(execute, *asked):
            answer = execute(*asked)
            if not acts:
                acts.append("beat")
                worker.beat()
            return answer

        with connection.execute_wrapper(beat_behind):
            assert worker.ensure_alive() == row
        assert Worker.objects.get().beats == len(acts) == 1

    def test_a_process_of_two_lanes_keeps_a_row_for_each_until_a_restore(self, server):
        campaign = launch(server)
        lanes = [WorkerProcess("transactional"), WorkerProcess("bulk")]
        rows = [lane.ensure_alive() for lane in lanes]
        lanes[0].count_sessions = lambda: 1
        for lane in lanes:
            lane.beat()
            assert [lane.ensure_alive() for lane in lanes] == rows
        Worker.objects.update(fence=0)  # as it was when the backup was made
        assert lanes[1].ensure_alive() not in rows
        campaign.refresh_from_db()
        assert campaign.was_restored

    def test_the_hearts_of_two_processes_beat_beside_each_other(self):
        first, second = WorkerProcess("bulk"), WorkerProcess("bulk")
        ids = [first.ensure_alive()]
        epoch.note_claim([7])
        first.beat()
        _restart_process()
        ids.append(second.ensure_alive())
        second.beat()
        epoch.note_claim([9])
        second.beat()
        rows = Worker.objects.order_by("pk").values_list("pk", "beats", "fence")
        assert list(rows) == [(ids[0], 1, 7), (ids[1], 2, 9)]

    def test_the_tick_looks_before_it_sweeps(self, server):
        campaign = launch(server)
        restoring.look()
        epoch.note_commit(50)
        _restart_process()
        tick()
        campaign.refresh_from_db()
        assert campaign.was_restored

    def live_through_it(self, server):
        campaign = launch(server)
        Worker.objects.create(lane="bulk", host="h", pid=1, fence=8)
        tick()
        epoch.note_commit(8)
        Worker.objects.update(fence=6)  # as it was when the backup was made
        return campaign

    def test_nothing_expires_before_somebody_looked(self, server):
        campaign = self.live_through_it(server)
        QueueEntry.objects.update(expires_at=LONG_AGO)
        sweep_queue()
        assert QueueEntry.objects.count() == RECIPIENTS
        campaign.refresh_from_db()
        assert campaign.was_restored

    def test_a_tick_that_could_not_look_looks_with_the_next(self, server, monkeypatch):
        campaign = self.live_through_it(server)

        def look_in_vain():
            raise OperationalError

        with monkeypatch.context() as broken:
            broken.setattr(restoring, "look", look_in_vain)
            with pytest.raises(OperationalError):
                tick()
        tick()
        campaign.refresh_from_db()
        assert campaign.was_restored

    def test_a_tick_that_lived_through_it_looks_before_it_sweeps(self, server):
        campaign = launch(server)
        worker = Worker.objects.create(lane="bulk", host="h", pid=1, fence=8)
        tick()
        epoch.note_commit(8)
        Worker.objects.update(fence=6, stopped_at=LONG_AGO)  # as it was when the backup was made
        for fence, entry in enumerate(QueueEntry.objects.order_by("pk")[:6], start=1):
            QueueEntry.objects.filter(pk=entry.pk).update(worker_id=worker.pk, fence=fence)
        tick()
        campaign.refresh_from_db()
        assert "up to 8 of the 20 messages" in campaign.pause_sentence
        assert not QueueEntry.objects.exclude(worker_id=None).exists()

    def test_who_of_the_audience_has_no_message_yet_counts(self, server):
        audience = make_audience("a@x.example", "b@x.example")
        campaign = launch(server, audience=audience, expanded_at=None, planned=None)
        assert self.restore().paused == {campaign.name: RECIPIENTS + 2}

    def test_what_it_owes_expires_neither_before_a_person_decides_nor_at_once_then(self, server):
        campaign = launch(server)
        QueueEntry.objects.update(expires_at=LONG_AGO)
        self.restore()
        sweep_expired()
        assert QueueEntry.objects.count() == RECIPIENTS
        campaign.refresh_from_db()
        assert resume_campaign(campaign=campaign, actor=None)
        sweep_expired()
        assert QueueEntry.objects.count() == RECIPIENTS
        keep_hours_for_a_while()
        assert not QueueEntry.objects.filter(expires_at__lt=timezone.now()).exists()
        sweep_expired()
        assert QueueEntry.objects.count() == RECIPIENTS
        QueueEntry.objects.update(expires_at=LONG_AGO)
        sweep_expired()
        assert not QueueEntry.objects.exists()

    def test_a_large_one_has_its_time_begun_anew_in_chunks_and_says_so(self, server):
        campaign = launch(server)
        self.restore()
        campaign.refresh_from_db()
        QueueEntry.objects.update(expires_at=LONG_AGO)
        resume_campaign(campaign=campaign, actor=None)
        assert (
            QueueEntry.objects.filter(expires_at=LONG_AGO).count() == RECIPIENTS
        )  # not in the request
        assert give_whole_time(chunk=15) == 15
        sweep_expired()
        assert QueueEntry.objects.filter(expires_at=LONG_AGO).count() == RECIPIENTS - 15
        campaign.refresh_from_db()
        assert "The time of 5 messages is yet to begin anew" in [
            one.title for one in holds_of(campaign)
        ]
        assert [give_whole_time(chunk=15), give_whole_time(chunk=15)] == [5, 0]
        campaign.refresh_from_db()
        assert campaign.retime_from is None

    def test_its_time_begins_with_the_hours_it_waits_for(self, server):
        campaign = launch(server)
        self.restore()
        campaign.refresh_from_db()
        opens = timezone.now() + timedelta(days=5)
        QueueEntry.objects.update(
            expires_at=LONG_AGO, due_at=opens, closes_at=opens + timedelta(hours=9)
        )
        resume_campaign(campaign=campaign, actor=None)
        give_whole_time()
        whole = timedelta(seconds=campaign.stream.expiry_seconds)
        assert set(QueueEntry.objects.values_list("expires_at", flat=True)) == {opens + whole}

    def test_a_campaign_whose_time_came_waits_too(self):
        campaign = make_campaign(state="scheduled", scheduled_at="2026-01-01T00:00Z")
        later = make_campaign(state="scheduled", scheduled_at="2126-01-01T00:00Z")
        assert self.restore().stale == [campaign.name]
        campaign.refresh_from_db()
        later.refresh_from_db()
        assert (campaign.state, later.state) == ("paused", "scheduled")
        assert "may have been sent already" in campaign.pause_sentence

    @pytest.mark.parametrize(
        ("guarantee", "status", "round_"),
        [("leave", "uncertain", 0), ("ask", "held", 0), ("resend", "queued", 1)],
    )
    def test_a_single_message_is_in_doubt_as_its_stream_guarantees(self, guarantee, status, round_):
        stream = make_stream(kind="transactional", guarantee=guarantee)
        message = make_message(stream=stream)
        assert self.restore().doubted == 1
        message.refresh_from_db()
        assert (message.status, message.round) == (status, round_)
        assert message.is_doubtful == (guarantee != "resend")

    def test_a_campaign_that_was_paused_warns_too(self, server):
        campaign = launch(server)
        campaign.pause("guardrail", "Too many bounce.")
        assert self.restore().paused == {campaign.name: RECIPIENTS}
        campaign.refresh_from_db()
        assert campaign.was_restored
        assert "up to 20 of the 20 messages" in campaign.pause_sentence
        assert "It was paused before: Too many bounce." in campaign.pause_detail

    def test_a_campaign_that_waits_since_an_earlier_restore_counts_all_it_owes(self, server):
        campaign = launch(server)
        self.restore()
        epoch.note_commit(Lineage.objects.get().fence + 3)
        _restart_process()
        assert restoring.look().paused == {campaign.name: RECIPIENTS}

    def test_a_paused_campaign_that_owes_nothing_or_has_not_started_stays_as_it_is(self):
        make_campaign(
            state="paused", pause_cause="person", started_at=LONG_AGO, expanded_at=LONG_AGO
        )
        make_campaign(
            state="paused",
            pause_cause="gate",
            audience=make_audience("a@x.example"),
            expanded_at=None,
        )
        assert self.restore().paused == {}
        causes = Campaign.objects.order_by("pk").values_list("pause_cause", flat=True)
        assert list(causes) == ["person", "gate"]

    def test_what_was_being_sent_again_stops_and_says_why(self, operator):
        doubtful, refused = make_doubtful(), make_message(status="bounced", with_entry=False)
        Message.objects.filter(pk=refused.pk).update(settled_at=LONG_AGO)
        settlement = make_settlement(act=Settlement.Act.AGAIN, state="running", finished_at=None)
        resending = start_resending(
            key=uuid4(), chosen={"status": "bounced"}, until=moment()[0], words=[], actor=operator
        )
        assert self.restore().stopped == ["Send again: 3 messages", "Send again: 1 messages"]
        assert not settle_chunk(settlement_id=settlement.pk)
        assert not resend_chunk(resending_id=resending.pk)
        for run, message in ((settlement, doubtful), (resending, refused)):
            run.refresh_from_db()
            message.refresh_from_db()
            assert run.state == run.State.STOPPED
            assert "restored from a backup" in run.sentence
            assert message.round == 0
        told = AuditEntry.objects.filter(verb__in=["settlement.stop", "resending.stop"])
        assert [entry.actor for entry in told] == [None, None]

    def test_what_goes_again_and_was_never_tried_is_claimed_where_routes_have_weights(self):
        stream = make_stream(guarantee="resend", routing="weight")
        Route.objects.create(stream=stream, transport=make_transport(), position=1)
        message = make_message(stream=stream)
        assert self.restore().doubted == 1
        claimer = Claimer(Worker.objects.create(lane="bulk", host="h", pid=1).pk)
        claimed = [job for one in usable_carriers("bulk") for job in claimer.claim(one, 10)]
        assert [job.message_id for job in claimed] == [message.pk]

    def test_what_was_being_sent_goes_again_through_none_but_that_transport(self):
        stream = make_stream(kind="transactional", guarantee="resend")
        waiting, sending = make_message(stream=stream), make_message(stream=stream)
        transport = stream.routes.get().transport
        QueueEntry.objects.update(transport_id=transport.pk)
        QueueEntry.objects.filter(pk=sending.pk).update(marked_at=timezone.now())
        self.restore()
        ways = dict(Message.objects.values_list("pk", "transport"))
        assert ways == {waiting.pk: None, sending.pk: transport.pk}

    def test_it_is_done_once(self, server):
        launch(server)
        self.restore()
        Campaign.objects.get().resume()
        _restart_process()
        assert restoring.look() is None
        assert Campaign.objects.get().is_running

    def test_what_was_cut_off_is_done_by_the_next_who_looks(self, server, monkeypatch):
        campaign = launch(server)
        single = make_message()
        with monkeypatch.context() as patched:
            patched.setattr(restoring, "doubt_single_messages", lambda: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                self.restore()
        campaign.refresh_from_db()
        assert campaign.is_paused
        _restart_process()
        assert restoring.look().doubted == 1
        single.refresh_from_db()
        assert single.is_doubtful

    def test_sequences_leap_past_what_was_used(self):
        before = [self.at(name) for name in restoring.SEQUENCES]
        self.restore()
        assert all(
            self.at(name) >= old + restoring.LEAP
            for name, old in zip(restoring.SEQUENCES, before, strict=True)
        )

    def at(self, sequence):
        (value,) = restoring.fetch_first(f"SELECT last_value FROM {sequence}", [])
        return value

    def test_another_database_of_this_machine_is_none_of_its_business(self, server):
        campaign = launch(server)
        EpochFile(django_settings.MAILOPS_EPOCH_FILE).append(COMMITTED, "another-one", 10**9)
        assert restoring.look() is None
        campaign.refresh_from_db()
        assert campaign.is_running

    def test_a_dead_workers_successor_does_not_look_like_a_restore(self):
        worker = WorkerProcess("bulk")
        worker.ensure_alive()
        epoch.note_claim(restoring.fetch_first("SELECT nextval('outbox_fence')", []))
        worker.beat()
        Worker.objects.update(dead_at="2026-01-01T00:00Z")
        first, second = worker.ensure_alive(), worker.ensure_alive()
        assert first == second
        assert Lineage.objects.get().restored_at is None


@pytest.mark.django_db
class TestCommand:
    def test_says_what_it_would_do_and_does_nothing(self, server):
        launch(server)
        said = StringIO()
        call_command("after_restore", stdout=said)
        assert "1 running campaigns would be paused" in said.getvalue()
        assert "0 acts on many messages that go on would be stopped" in said.getvalue()
        assert Campaign.objects.get().is_running

    def test_does_it_by_hand_where_no_file_tells(self, server):
        campaign = launch(server)
        said = StringIO()
        call_command("after_restore", "--yes", stdout=said)
        assert f"paused: {campaign.name}; up to 20 messages may be sent twice" in said.getvalue()
        assert Campaign.objects.get().pause_cause == "restored"


class TestFile:
    @pytest.fixture
    def file(self, tmp_path):
        return EpochFile(tmp_path / "some" / "epochs")

    def test_remembers_the_highest_of_each_lineage(self, file):
        for word, lineage, fence in (
            (CLAIMED, "a", 7), (COMMITTED, "a", 5), (CLAIMED, "b", 90), (CLAIMED, "a", 3),
        ):  # fmt: skip
            file.append(word, lineage, fence)
        assert file.remembered("a") == Remembered(committed=5, claimed=7)
        assert file.remembered("c") == Remembered()

    def test_passes_over_what_is_torn_or_nonsense(self, file):
        file.append(CLAIMED, "a", 7)
        with file.path.open("a") as torn:
            torn.write("claimed a x\n\n\0\0\nclaimed a 99999999999999999999\nclaimed a 9")
        assert file.remembered("a") == Remembered(claimed=7)

    def test_stays_small(self, file, monkeypatch):
        monkeypatch.setattr(epochs, "MOST_BYTES", 1000)
        for fence in range(1, 200):
            file.append(CLAIMED, "a", fence)
            file.append(COMMITTED, "a", fence)
        assert file.path.stat().st_size < 1100
        assert file.remembered("a") == Remembered(committed=199, claimed=199)

    def test_waits_no_longer_than_a_moment_for_a_process_that_is_frozen(
        self, file, monkeypatch, caplog
    ):
        file.append(CLAIMED, "a", 7)
        monkeypatch.setattr(epochs, "LOCK_SECONDS", 0.0)
        with file.path.with_suffix(".lock").open() as frozen:
            fcntl.flock(frozen, fcntl.LOCK_EX)
            file.append(CLAIMED, "a", 8)
        assert file.remembered("a") == Remembered(claimed=7)
        assert "can't be read or written" in caplog.text
        file.append(CLAIMED, "a", 9)
        assert file.remembered("a") == Remembered(claimed=9)

    def test_that_cannot_be_written_stops_nothing_and_is_said(self, tmp_path, caplog):
        (tmp_path / "folder").mkdir()
        with caplog.at_level(logging.ERROR):
            EpochFile(tmp_path / "folder").append(COMMITTED, "a", 7)
            assert EpochFile(tmp_path / "folder").remembered("a") == Remembered()
        assert "can't be read or written" in caplog.text
