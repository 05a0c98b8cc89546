"""What stops a transport or a campaign by itself: within seconds, with the reason, and at nobody's cost."""

import time

import pytest
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.campaigns.models import Campaign
from mailops.dispatch import delivery
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.conversation import SystemicFault
from mailops.dispatch.delivery import Delivery
from mailops.dispatch.working import WorkerProcess
from mailops.outbox.models import Message, QueueEntry
from mailops.outbox.tokens import current_token_key_id
from mailops.suppressions.models import Suppression
from mailops.transports.configuring import delete_transport
from mailops.transports.models import Route, Transport
from tests.dispatch.test_delivery import deliver
from tests.factories import make_campaign, make_message, make_stream, make_transport, make_version

pytestmark = pytest.mark.django_db(transaction=True)  # the committer has a connection of its own


@pytest.fixture(autouse=True)
def no_heart(monkeypatch):
    monkeypatch.setattr(WorkerProcess, "_beat", lambda self: None)
    monkeypatch.setattr(delivery, "RUN_SECONDS", 30.0)


def queue(stream, number, **fields):
    for _ in range(number):
        make_message(stream=stream, token_key_id=current_token_key_id(), **fields)


def assert_nobody_paid():
    """Every message is owed as before, claimed by nobody, and no address is left alone."""
    assert set(Message.objects.values_list("status", flat=True)) == {"queued"}
    entries = QueueEntry.objects.values_list(
        "worker_id", "fence", "marked_at", "attempts", "session_attempts"
    )
    assert set(entries) == {(None, None, None, 0, 0)}
    assert not Suppression.objects.exists()


class TestTransport:
    @pytest.mark.parametrize(
        ("verb", "answer", "word"),
        [
            ("banner", "535 5.7.8 Authentication credentials invalid", "login"),
            ("MAIL", "530 5.7.0 Authentication required", "login"),
            ("RCPT", "550 5.7.1 Relaying denied", "relay"),
            (".", "550 5.4.5 Daily user sending limit exceeded", "quota"),
            ("RCPT", "452 4.7.0 Your daily sending quota exceeded", "quota"),
        ],
    )
    def test_pauses_at_a_fault_of_ours(self, server, verb, answer, word):
        transport = make_transport(port=server.port, max_sessions=2)
        queue(make_stream(transport=transport), 30)
        server.script[verb] = answer
        deliver()
        transport.refresh_from_db()
        if verb == "banner":
            assert transport.failures
        else:
            assert (transport.state, transport.pause_cause) == ("paused", "fault")
            assert word in transport.pause_sentence.lower()
            assert answer[4:] in transport.pause_detail
            assert AuditEntry.objects.filter(verb="transport.pause").count() == 1
        assert_nobody_paid()

    def test_a_closed_port_backs_off_and_opens_the_breaker(self, server):
        transport = make_transport(port=server.port)
        queue(make_stream(transport=transport), 5)
        server.__exit__()
        for _ in range(3):
            Transport.objects.update(backoff_until=timezone.now())
            deliver()
        transport.refresh_from_db()
        assert transport.breaker == "open"
        assert transport.backoff_until > timezone.now()
        assert_nobody_paid()

    def test_a_server_that_hangs_up_on_every_session_is_left_alone_for_a_while(self, server):
        server.script["EHLO"] = "250 scripted.example\r\n421 4.7.0 Too many connections"
        transport = make_transport(port=server.port, max_sessions=1)
        queue(make_stream(transport=transport), 5)
        for _ in range(3):
            Transport.objects.update(backoff_until=timezone.now())
            deliver()
        transport.refresh_from_db()
        assert transport.breaker == "open"
        assert "Too many connections" in transport.breaker_detail
        assert transport.failures == server.connections
        assert_nobody_paid()


class TestCampaign:
    UNSIGNED = "550 5.7.26 This mail has been blocked because the sender is unauthenticated"

    def test_pauses_alone_at_a_fault_of_its_mail(self, server):
        transport = make_transport(port=server.port, max_sessions=2)
        campaign = make_campaign(
            stream=make_stream(transport=transport), state=Campaign.State.RUNNING
        )
        queue(campaign.stream, 30, campaign=campaign)
        server.script["."] = self.UNSIGNED
        deliver()
        campaign.refresh_from_db()
        assert (campaign.state, campaign.pause_cause) == ("paused", "fault")
        assert "SPF" in campaign.pause_sentence
        assert "5.7.26" in campaign.pause_detail
        assert not Transport.objects.get().is_paused
        assert_nobody_paid()
        assert server.connections <= 8  # the other claims went back without a session each

    def test_resumed_it_goes_on_where_it_was(self, server):
        campaign = make_campaign(
            stream=make_stream(transport=make_transport(port=server.port, max_sessions=1)),
            state=Campaign.State.RUNNING,
            started_at=timezone.now(),
        )
        queue(campaign.stream, 6, campaign=campaign)
        server.script["."] = self.UNSIGNED
        deliver()
        assert Campaign.objects.get().is_paused
        del server.script["."]
        Campaign.objects.get().resume()
        deliver()
        assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}


def test_a_campaign_that_a_person_pauses_gives_its_claims_back(server):
    stream = make_stream(transport=make_transport(port=server.port))
    paused = make_campaign(stream=stream, state=Campaign.State.RUNNING)
    queue(stream, 8, campaign=paused)
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    run._claim_more()
    assert not QueueEntry.objects.filter(worker_id=None).exists()
    paused.pause(cause="person")
    run._claim_more()
    run._committer.commit_waiting(timeout=0)
    assert not QueueEntry.objects.exclude(worker_id=None).exists()
    worker.stop()


def test_a_resume_gets_past_the_message_that_stopped_its_campaign(server):
    stream = make_stream(transport=make_transport(port=server.port, max_sessions=1))
    campaign = make_campaign(stream=stream, state=Campaign.State.RUNNING, started_at=timezone.now())
    queue(stream, 4, campaign=campaign)
    server.script["RCPT"] = [TestCampaign.UNSIGNED, "250 2.1.5 ok"]
    deliver()
    assert Campaign.objects.get().is_paused
    stopping = Message.objects.order_by("pk").first()
    (last,) = QueueEntry.objects.order_by("-due_at", "-pk")[:1]
    assert last.message_id == stopping.pk
    Campaign.objects.get().resume()
    while QueueEntry.objects.exists() and Campaign.objects.get().state == Campaign.State.RUNNING:
        deliver()
    assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}


@pytest.mark.parametrize(("refused", "state"), [(2, "running"), (3, "paused")])
def test_several_recipients_speak_against_a_stream_of_single_messages(server, refused, state):
    stream = make_stream(transport=make_transport(port=server.port, max_sessions=1))
    queue(stream, refused)
    server.script["RCPT"] = TestCampaign.UNSIGNED
    deliver()
    stream.refresh_from_db()
    assert stream.state == state
    assert not Transport.objects.get().is_paused
    owed = {(row.attempts, row.worker_id) for row in QueueEntry.objects.all()}
    assert owed == ({(1, None)} if refused == 2 else {(1, None), (0, None)})


@pytest.fixture
def run(monkeypatch):
    """Return a delivery that opens no session by itself."""
    monkeypatch.setattr(Delivery, "_open_sessions", lambda self, lane: None)
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    yield run
    run.finish()
    worker.stop()


def test_what_was_refused_during_a_claim_is_not_tried_again_before_its_campaign_stops(
    run, monkeypatch
):
    campaign = make_campaign(state=Campaign.State.RUNNING)
    queue(campaign.stream, 1, campaign=campaign)
    claim = Claimer.claim

    def claim_meanwhile(*args, **kwargs):
        jobs = claim(*args, **kwargs)
        run._faults.append(
            SystemicFault("campaign", jobs[0].transport_id, campaign.pk, "Unsigned.", "550", 0)
        )
        return jobs

    monkeypatch.setattr(Claimer, "claim", claim_meanwhile)
    run._claim_more()
    run._committer.commit_waiting(timeout=0)
    assert not QueueEntry.objects.exclude(worker_id=None).exists()
    run._step()
    assert Campaign.objects.get().is_paused


def test_a_session_that_waits_for_its_last_reply_keeps_no_new_ones_out(run):
    transport = make_transport(max_sessions=3)
    queue(make_stream(transport=transport), 30)
    run._claim_more()
    old = run._lanes[transport.pk]
    old.enter("a thread that waits")
    run._drop(old)
    run._committer.commit_waiting(timeout=0)
    run._claim_more()
    new = run._lanes[transport.pk]
    assert (new is not old, len(new.jobs), new.seats) == (True, 30, 2)
    assert run._count_sessions() == 1
    old.leave("a thread that waits")
    run._pause_what_must()
    assert run._every_lane() == [new]


def test_a_transport_that_was_deleted_while_it_worked_again_stops_nobody(run):
    transport = make_transport(failures=1)
    queue(make_stream(transport=transport), 1)
    queue(make_stream(transport=make_transport()), 1)
    run._claim_more()
    lane = run._lanes[transport.pk]
    lane.had_success = True
    Route.objects.filter(transport=transport).delete()
    delete_transport(transport=transport, actor=None)
    run._step()
    assert not lane.had_success


def test_versions_that_nobody_sends_any_more_are_forgotten(run, monkeypatch):
    stream = make_stream(transport=make_transport())
    queue(stream, 1)
    run._claim_more()
    (old,) = run._versions
    monkeypatch.setattr(delivery, "VERSION_SECONDS", -1.0)
    run._load_templates([])
    assert set(run._versions) == {old}, "a job of it waits"
    run._lanes[stream.routes.get().transport_id].jobs.clear()
    queue(stream, 1, version=make_version())
    run._claim_more()
    assert old not in run._versions
    assert len(run._versions) == 1


def test_a_version_that_is_claimed_again_beside_a_new_one_is_kept(run):
    stream = make_stream(transport=make_transport())
    version = make_version()
    queue(stream, 1, version=version)
    run._claim_more()
    run._lanes[stream.routes.get().transport_id].jobs.clear()
    run._wanted_at[version.pk] -= 2 * delivery.VERSION_SECONDS
    queue(stream, 1, version=version)
    queue(stream, 1, version=make_version())
    run._claim_more()
    assert len(run._versions) == 2
    assert version.pk in run._versions


def test_a_changed_transport_is_heeded_by_the_next_session(server):
    transport = make_transport(port=server.port, max_sessions=1)
    stream = make_stream(transport=transport)
    queue(stream, 1)
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    run._claim_more()
    Transport.objects.update(max_sessions=3, messages_per_session=7)
    (lane,) = run._lanes.values()
    run._open_sessions(lane)
    assert lane.transport.messages_per_session == 7
    run.run()
    run.finish()
    worker.stop()
    assert Message.objects.get().status == "accepted"


def test_a_low_rate_is_used_to_the_full(server, monkeypatch):
    monkeypatch.setattr(delivery, "RUN_SECONDS", 60.0)
    transport = make_transport(port=server.port, max_sessions=1, rate_per_minute=60)
    queue(make_stream(transport=transport), 5)
    began = time.monotonic()
    deliver()
    assert time.monotonic() - began >= 4 - 1  # a second is saved up
    assert len(server.messages) == 5, "the run ended while only a second was between it and more"
