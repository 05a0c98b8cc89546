"""A person's act on many uncertain messages: what was seen is what is done, once."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.campaigns.models import Campaign
from mailops.outbox import bulk_settling
from mailops.outbox.bulk_settling import (
    NothingToSettle,
    note_failure,
    plan,
    settle_chunk,
    start_settlement,
    stop_settlement,
)
from mailops.outbox.doubtful import Choice, count_doubtful
from mailops.outbox.models import Event, Message, QueueEntry, Settlement, Tally
from mailops.outbox.retrying import retry_message
from mailops.outbox.settling import settle_as_accepted
from mailops.transports.models import Stream
from tests.factories import (
    make_campaign,
    make_domain,
    make_stream,
    make_suppression,
    make_transport,
)
from tests.outbox.doubts import doubt, make_doubtful

pytestmark = pytest.mark.django_db
ACT = Settlement.Act


@pytest.fixture
def settle(operator):
    """Return a function that plans an act, begins it and does it all."""

    def act(kind, *, most=500, **which):
        planned = plan(act=kind, **which)
        run = start_settlement(key=uuid4(), act=kind, actor=operator, until=planned.until, **which)
        while settle_chunk(settlement_id=run.pk, most=most):
            pass
        run.refresh_from_db()
        return run

    return act


def statuses():
    return sorted(Message.objects.values_list("status", flat=True))


class TestAccept:
    def test_counts_all_of_them_as_accepted(self, settle):
        make_doubtful()
        make_doubtful(guarantee="ask")
        run = settle(ACT.ACCEPT)
        assert statuses() == ["accepted", "accepted"]
        assert (run.planned, run.settled, run.passed_over, run.state) == (2, 2, 0, "completed")
        assert not QueueEntry.objects.exists()

    def test_writes_an_event_each_and_the_counts_agree(self, settle):
        message = make_doubtful()
        run = settle(ACT.ACCEPT)
        event = Event.objects.get(kind="settled")
        assert (event.message, event.data["by"], event.data["settlement"]) == (
            message, "operator@example.com", run.pk,
        )  # fmt: skip
        moved = dict(Tally.objects.filter(measure="status", n__lt=0).values_list("kind", "n"))
        assert moved["uncertain"] == -1

    def test_takes_only_what_was_chosen(self, settle):
        stream = make_stream(transport=make_transport())
        make_doubtful(stream=stream)
        make_doubtful()
        settle(ACT.ACCEPT, choice=Choice(stream=stream))
        assert statuses() == ["accepted", "uncertain"]

    def test_takes_only_those_at_rest_or_those_that_ask(self, settle):
        make_doubtful()
        make_doubtful(guarantee="ask")
        settle(ACT.ACCEPT, choice=Choice(is_asked=True))
        assert statuses() == ["accepted", "uncertain"]

    def test_goes_on_where_it_was_cut_off(self, settle):
        for _ in range(5):
            make_doubtful()
        run = settle(ACT.ACCEPT, most=2)
        assert (run.settled, count_doubtful()) == (5, 0)

    def test_is_told_once_at_its_beginning_and_once_at_its_end(self, settle):
        make_doubtful()
        settle(ACT.ACCEPT)
        verbs = AuditEntry.objects.order_by("pk").values_list("verb", flat=True)
        assert list(verbs) == ["settlement.start", "settlement.complete"]


class TestAgain:
    def test_queues_them_in_a_new_round_with_the_same_message_id(self, settle):
        message = make_doubtful()
        before = message.message_id
        settle(ACT.AGAIN)
        message.refresh_from_db()
        assert (message.status, message.round, message.message_id) == ("queued", 1, before)
        assert QueueEntry.objects.filter(pk=message.pk).exists()

    def test_gives_those_that_were_held_to_ask_their_stream_s_time_anew(self, settle):
        make_doubtful(guarantee="ask")
        QueueEntry.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        settle(ACT.AGAIN)
        assert QueueEntry.objects.filter(expires_at__gt=Now()).exists()

    def test_reopens_a_completed_campaign_and_says_so(self, settle):
        campaign = make_campaign(state="completed")
        make_doubtful(campaign=campaign, stream=campaign.stream)
        settle(ACT.AGAIN)
        campaign.refresh_from_db()
        assert campaign.state == Campaign.State.RUNNING
        entry = AuditEntry.objects.get(verb="campaign.retry")
        assert entry.after == {"state": "running", "messages": 1}

    def test_leaves_out_who_is_suppressed(self, settle):
        gone, asking, _ = make_doubtful(), make_doubtful(guarantee="ask"), make_doubtful()
        make_suppression(address=gone.recipient)
        make_suppression(address=asking.recipient, stream=asking.stream)
        planned = plan(act=ACT.AGAIN)
        assert (planned.chosen, planned.suppressed, planned.does) == (3, 2, 1)
        assert plan(act=ACT.ACCEPT).does == 3
        assert settle(ACT.AGAIN).planned == 1
        assert statuses() == ["held", "queued", "uncertain"]

    def test_leaves_out_canceled_campaigns_and_forgotten_content(self, settle):
        canceled = make_campaign(state="canceled")
        make_doubtful(campaign=canceled, stream=canceled.stream)
        make_doubtful(stream=make_stream(transport=make_transport(), is_sensitive=True))
        make_doubtful()
        planned = plan(act=ACT.AGAIN)
        assert (planned.chosen, planned.canceled, planned.forgotten, planned.does) == (3, 1, 1, 1)
        assert settle(ACT.AGAIN).planned == 1
        assert statuses() == ["queued", "uncertain", "uncertain"]

    @pytest.mark.parametrize("is_moved", [False, True])
    def test_leaves_out_completed_campaigns_that_fit_their_stream_no_more(self, settle, is_moved):
        campaign = make_campaign(state="completed")
        unfit = make_doubtful(campaign=campaign, stream=campaign.stream)
        running = make_campaign(stream=campaign.stream, state="running")
        make_doubtful(campaign=running, stream=campaign.stream)
        make_doubtful()
        change = {"domain": make_domain()} if is_moved else {"kind": "transactional"}
        Stream.objects.filter(pk=campaign.stream_id).update(**change)
        planned = plan(act=ACT.AGAIN)
        assert (planned.chosen, planned.unfit, planned.does) == (3, 1, 2)
        assert plan(act=ACT.ACCEPT).does == 3
        assert settle(ACT.AGAIN).settled == 2
        unfit.refresh_from_db()
        campaign.refresh_from_db()
        assert (unfit.status, campaign.state) == ("uncertain", Campaign.State.COMPLETED)

    def test_looks_again_whether_campaigns_fit_once_they_are_locked(self, operator, monkeypatch):
        campaign = make_campaign(state="completed")
        message = make_doubtful(campaign=campaign, stream=campaign.stream)
        until = plan(act=ACT.AGAIN).until
        run = start_settlement(key=uuid4(), act=ACT.AGAIN, actor=operator, until=until)
        monkeypatch.setattr(bulk_settling, "_sendable", lambda part: part)  # chosen just before
        Stream.objects.update(kind="transactional")
        while settle_chunk(settlement_id=run.pk):
            pass
        message.refresh_from_db()
        campaign.refresh_from_db()
        run.refresh_from_db()
        assert (message.status, campaign.state) == ("uncertain", Campaign.State.COMPLETED)
        assert (run.settled, run.passed_over) == (0, 1)

    def test_says_what_will_wait_for_a_paused_campaign(self):
        campaign = make_campaign(state="paused")
        make_doubtful(campaign=campaign, stream=campaign.stream)
        assert plan(act=ACT.AGAIN).waiting == 1

    def test_leaves_out_a_campaign_that_is_canceled_meanwhile(self, operator):
        campaign = make_campaign(state="completed")
        make_doubtful(campaign=campaign, stream=campaign.stream)
        until = plan(act=ACT.AGAIN).until
        run = start_settlement(key=uuid4(), act=ACT.AGAIN, actor=operator, until=until)
        Campaign.objects.update(state="canceled")
        while settle_chunk(settlement_id=run.pk):
            pass
        assert statuses() == ["uncertain"]


class TestWhatWasSeenIsDone:
    def test_pressed_twice_is_done_once(self, operator):
        make_doubtful()
        key, until = uuid4(), plan(act=ACT.AGAIN).until
        runs = {
            start_settlement(key=key, act=ACT.AGAIN, actor=operator, until=until).pk
            for _ in range(3)
        }
        assert len(runs) == 1
        (run_id,) = runs
        while settle_chunk(settlement_id=run_id):
            pass
        assert Message.objects.get().round == 1
        assert AuditEntry.objects.filter(verb="settlement.start").count() == 1

    @pytest.mark.parametrize("guarantee", ["leave", "ask"])
    def test_what_became_uncertain_behind_the_preview_is_left(self, operator, guarantee):
        make_doubtful(guarantee=guarantee)
        until = plan(act=ACT.AGAIN).until
        later = make_doubtful(guarantee=guarantee)
        run = start_settlement(key=uuid4(), act=ACT.AGAIN, actor=operator, until=until)
        while settle_chunk(settlement_id=run.pk):
            pass
        later.refresh_from_db()
        assert (run.planned, later.is_doubtful) == (1, True)

    def test_what_was_settled_meanwhile_is_left(self, operator):
        message, other = make_doubtful(), make_doubtful()
        until = plan(act=ACT.AGAIN).until
        run = start_settlement(key=uuid4(), act=ACT.AGAIN, actor=operator, until=until)
        settle_as_accepted(message=message, actor=operator)
        while settle_chunk(settlement_id=run.pk):
            pass
        message.refresh_from_db()
        other.refresh_from_db()
        assert (message.status, other.status) == ("accepted", "queued")

    def test_a_doubt_of_a_later_attempt_is_another_doubt(self, operator):
        message = make_doubtful()
        until = plan(act=ACT.AGAIN).until
        run = start_settlement(key=uuid4(), act=ACT.AGAIN, actor=operator, until=until)
        retry_message(message=message, actor=operator)
        doubt(message, message.transport)
        while settle_chunk(settlement_id=run.pk):
            pass
        message.refresh_from_db()
        assert (message.status, message.round) == ("uncertain", 1)

    def test_nothing_left_is_said(self, operator):
        make_doubtful()
        until = timezone.now() - timedelta(days=1)
        for act in (ACT.ACCEPT, ACT.AGAIN):
            with pytest.raises(NothingToSettle, match="what you saw was settled meanwhile"):
                start_settlement(key=uuid4(), act=act, actor=operator, until=until)

    def test_says_why_nothing_of_what_was_seen_is_sent_again(self, operator):
        campaign = make_campaign(state="completed")
        make_doubtful(campaign=campaign, stream=campaign.stream)
        gone = [make_doubtful(), make_doubtful(guarantee="ask")]
        until = plan(act=ACT.AGAIN).until
        for message in gone:
            make_suppression(address=message.recipient)
        Campaign.objects.update(state="canceled")
        said = "what you saw stays as it is: 2 suppressed, 1 of canceled campaigns"
        with pytest.raises(NothingToSettle, match=said):
            start_settlement(key=uuid4(), act=ACT.AGAIN, actor=operator, until=until)
        assert not Settlement.objects.exists()

    def test_says_that_campaigns_fit_their_stream_no_more(self, operator):
        campaign = make_campaign(state="completed")
        make_doubtful(campaign=campaign, stream=campaign.stream)
        until = plan(act=ACT.AGAIN).until
        Stream.objects.update(kind="transactional")
        with pytest.raises(NothingToSettle, match="1 of completed campaigns that fit their stream"):
            start_settlement(key=uuid4(), act=ACT.AGAIN, actor=operator, until=until)

    def test_what_was_left_out_is_told_at_its_end(self, operator):
        gone, _ = make_doubtful(), make_doubtful()
        until = plan(act=ACT.AGAIN).until
        run = start_settlement(key=uuid4(), act=ACT.AGAIN, actor=operator, until=until)
        make_suppression(address=gone.recipient)
        while settle_chunk(settlement_id=run.pk):
            pass
        told = AuditEntry.objects.get(verb="settlement.complete")
        assert told.after == {"settled": 1, "passed over": 0, "left out": 1}


class TestStopping:
    @pytest.fixture
    def run(self, operator):
        for _ in range(3):
            make_doubtful()
        until = plan(act=ACT.ACCEPT).until
        return start_settlement(key=uuid4(), act=ACT.ACCEPT, actor=operator, until=until)

    def test_leaves_the_rest_as_it_is(self, run, operator):
        settle_chunk(settlement_id=run.pk, most=1)
        assert stop_settlement(run=run, actor=operator)
        assert not settle_chunk(settlement_id=run.pk)
        assert count_doubtful() == 2
        assert not stop_settlement(run=run, actor=operator)

    def test_fails_with_its_reason_after_several_tries(self, run):
        for _ in range(5):
            note_failure(settlement_id=run.pk, error=ValueError("no"))
        run.refresh_from_db()
        assert (run.state, run.detail) == ("failed", "ValueError: no")
