"""Sending a campaign's messages again: few at the press, many in chunks, each once."""

import html
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry, User
from mailops.campaigns.models import Campaign
from mailops.dispatch.completion import complete, complete_finished
from mailops.lib.chunks import MAX_FAILURES
from mailops.outbox import campaign_views, resending, retrying
from mailops.outbox.canceling import cancel_campaign, sweep_canceled
from mailops.outbox.models import Event, EventKind, Message, QueueEntry, Resending
from mailops.outbox.resending import (
    note_failure,
    resend_chunk,
    start_resending,
    start_retry,
    stop_resending,
    stop_resendings,
)
from mailops.outbox.retrying import (
    CHUNK,
    MoreThanCounted,
    NothingToRetry,
    retry_campaign,
    retry_message,
)
from mailops.outbox.tasks import continue_resending, continue_settling
from mailops.transports.configuring import save_stream
from mailops.transports.models import PauseCause, Stream
from tests.factories import make_campaign, make_domain, make_message, make_suppression
from tests.outbox.doubts import doubt, make_doubtful

pytestmark = pytest.mark.django_db

MANY = 5


def make_over(n=MANY, *, state="canceled", status="canceled", **fields):
    """Make a campaign that is over, with `n` messages of a status."""
    now = timezone.now()
    campaign = make_campaign(
        **{
            "state": state, "started_at": now, "expanded_at": now, "finished_at": now, "planned": n, **fields,
        }
    )  # fmt: skip
    for _ in range(n):
        make_message(stream=campaign.stream, campaign=campaign, status=status, settled_at=now)
    return campaign


@pytest.fixture
def campaign():
    return make_over()


@pytest.fixture
def start(operator):
    def start_(campaign, **given):
        chosen = {"campaign": str(campaign.pk), "status": given.pop("status", "canceled")}
        return start_retry(
            **{
                "key": uuid4(), "campaign": campaign, "chosen": chosen, "until": timezone.now(), "most": MANY,
                "actor": operator, **given,
            }
        )  # fmt: skip

    return start_


def finish(run, most=2):
    while resend_chunk(resending_id=run.pk, most=most):
        assert_balanced(run.campaign)
    run.refresh_from_db()
    return run


def assert_balanced(campaign):
    campaign.refresh_from_db()
    messages = Message.objects.filter(campaign=campaign)
    assert messages.count() == campaign.planned
    assert messages.filter(status="queued").count() == QueueEntry.objects.count()


def statuses():
    return list(Message.objects.order_by("pk").values_list("status", flat=True))


def queued():
    return Event.objects.filter(kind=EventKind.REQUEUED).count()


class TestSmall:
    def test_is_no_more_than_a_chunk(self, campaign, operator):
        messages = Message.objects.filter(campaign=campaign)
        with pytest.raises(MoreThanCounted):
            retry_campaign(campaign=campaign, messages=messages, actor=operator, most=MANY - 1)
        assert (queued(), Campaign.objects.get().state) == (0, "canceled")
        assert retry_campaign(campaign=campaign, messages=messages, actor=operator) == MANY
        assert not Resending.objects.exists()


class TestFit:
    @pytest.fixture(params=["transactional", "moved"])
    def change(self, request):
        return (
            {"kind": request.param}
            if request.param == "transactional"
            else {"domain": make_domain()}
        )

    @pytest.mark.parametrize("state", ["completed", "canceled"])
    def test_a_campaign_that_fits_its_stream_no_more_stays_over(
        self, start, operator, change, state
    ):
        campaign = make_over(state=state)
        Stream.objects.update(**change)
        messages = Message.objects.filter(campaign=campaign)
        with pytest.raises(NothingToRetry, match="stream was changed since"):
            retry_campaign(campaign=campaign, messages=messages, actor=operator)
        with pytest.raises(NothingToRetry, match="stream was changed since"):
            start(campaign)
        assert not retry_message(message=messages[0], actor=operator)
        assert (queued(), Campaign.objects.get().state) == (0, state)

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("is_filtered", [False, True])
    def test_its_stream_is_not_changed_while_it_is_reopened(
        self, operator, monkeypatch, meanwhile, is_filtered
    ):
        campaign = make_over(1, state="completed", status="bounced")
        changed = Stream.objects.get(pk=campaign.stream_id)
        changed.kind = "transactional"
        saving = []

        def record_while_the_stream_is_saved(outcomes):
            saving.append(
                meanwhile(save_stream, stream=changed, transports=[changed.transport], actor=None)
            )
            return record(outcomes)

        module = resending if is_filtered else retrying
        record = module.record
        monkeypatch.setattr(module, "record", record_while_the_stream_is_saved)
        if is_filtered:
            chosen = {"campaign": str(campaign.pk)}
            run = start_resending(
                key=uuid4(), chosen=chosen, until=timezone.now(), words=[], actor=operator
            )
            resend_chunk(resending_id=run.pk)
        else:
            retry_message(message=Message.objects.get(), actor=operator)
        with pytest.raises(ValidationError, match="leaves through this stream"):
            saving[0].result()
        campaign.refresh_from_db()
        assert (campaign.state, campaign.stream.kind) == ("running", "bulk")

    def test_one_that_is_not_over_goes_on(self, operator, change):
        campaign = make_over(state="running", finished_at=None)
        Stream.objects.update(**change)
        messages = Message.objects.filter(campaign=campaign)
        assert retry_campaign(campaign=campaign, messages=messages, actor=operator) == MANY


class TestLarge:
    def test_queues_a_chunk_a_transaction(self, campaign, start):
        run = start(campaign)
        campaign.refresh_from_db()
        assert (campaign.state, campaign.finished_at, queued()) == ("running", None, 0)
        for done in (2, 4, 5):
            assert resend_chunk(resending_id=run.pk, most=2)
            assert queued() == done
            assert_balanced(campaign)
        run = finish(run)
        assert (run.state, run.planned, run.queued, run.left_out) == ("completed", MANY, MANY, 0)
        assert set(Message.objects.values_list("status", "round")) == {("queued", 1)}
        assert AuditEntry.objects.get(verb="campaign.retry").after == {
            "state": "running", "messages": MANY,
        }  # fmt: skip

    def test_looks_at_no_more_than_a_chunk_whatever_fits(self, campaign, start):
        messages = list(Message.objects.order_by("pk"))
        Message.objects.filter(pk__in=[one.pk for one in messages[:3]]).update(reason="other")
        chosen = {"campaign": str(campaign.pk), "status": "canceled", "reason": "other"}
        Message.objects.filter(pk=messages[4].pk).update(reason="other")
        run = start(campaign, chosen=chosen)
        assert run.planned == 4
        assert resend_chunk(resending_id=run.pk, most=2)
        assert resend_chunk(resending_id=run.pk, most=2)
        run.refresh_from_db()
        assert (run.queued, run.cursor) == (3, messages[3].pk)
        assert finish(run).queued == 4
        assert statuses() == ["queued", "queued", "queued", "canceled", "queued"]

    def test_keeps_the_audience_closed(self, start):
        campaign = make_over(expanded_at=None, planned=None)
        run = start(campaign)
        campaign.refresh_from_db()
        assert campaign.expanded_at is not None
        assert campaign.planned == MANY
        finish(run)

    def test_takes_nothing_that_changed_since_it_was_seen(self, start):
        campaign = make_over(state="completed", status="bounced")
        run = start(campaign, status="bounced")
        first, second, third, *_ = Message.objects.order_by("pk")
        make_suppression(address=first.recipient)
        retry_message(message=second, actor=run.created_by)
        doubt(second, campaign.stream.routes.get().transport)
        Message.objects.filter(pk=second.pk).update(status="bounced")  # in its new round
        run = finish(run)
        assert (run.queued, run.left_out) == (3, 2)
        assert statuses() == ["bounced", "bounced", "queued", "queued", "queued"]
        assert Message.objects.get(pk=third.pk).round == 1

    def test_takes_what_is_in_the_same_doubt(self, start):
        campaign = make_over(0, state="running", finished_at=None, planned=3)
        routes = campaign.stream.routes.get()
        for _ in range(3):
            make_doubtful(campaign=campaign, stream=campaign.stream, transport=routes.transport)
        run = start(campaign, status="uncertain")
        assert finish(run).queued == 3
        fences = Event.objects.filter(kind=EventKind.REQUEUED).values_list("fence", flat=True)
        assert all(fences)

    def test_goes_on_where_it_was_cut_off(self, campaign, start, monkeypatch):
        run, hints = start(campaign), []
        assert resend_chunk(resending_id=run.pk, most=2)  # and then the process was killed
        monkeypatch.setattr(continue_resending, "delay", hints.append)
        continue_settling()
        assert hints == [run.pk]
        assert finish(run).queued == MANY
        assert queued() == MANY

    def test_a_chunk_that_is_killed_leaves_nothing(self, campaign, start, monkeypatch):
        run = start(campaign)

        def die(self):
            raise RuntimeError("killed before it was committed")

        with monkeypatch.context() as patch:
            patch.setattr(Resending, "save", die)
            with pytest.raises(RuntimeError):
                resend_chunk(resending_id=run.pk, most=2)
        assert queued() == 0
        assert finish(run).queued == MANY

    def test_pressed_twice_is_done_once(self, campaign, start, operator):
        key = uuid4()
        run = finish(start(campaign, key=key))
        assert start(campaign, key=key) == run
        assert AuditEntry.objects.filter(verb="campaign.retry").count() == 1
        assert (queued(), Resending.objects.count()) == (MANY, 1)

    def test_one_goes_on_at_a_time(self, campaign, start):
        run = start(campaign)
        with pytest.raises(NothingToRetry, match="being sent again already"):
            start(campaign)
        finish(run)
        with pytest.raises(NothingToRetry, match="Nothing is queued"):
            start(campaign)

    def test_more_than_was_counted_is_looked_at_anew(self, campaign, start):
        with pytest.raises(MoreThanCounted):
            start(campaign, most=MANY - 1)
        assert Campaign.objects.get().state == "canceled"

    def test_a_campaign_that_is_still_being_canceled_is_refused(self, campaign, start):
        make_message(stream=campaign.stream, campaign=campaign)
        with pytest.raises(NothingToRetry, match="still being canceled"):
            start(campaign)
        assert not Resending.objects.exists()

    def test_what_was_queued_leaves_meanwhile_and_the_campaign_stays_open(self, campaign, start):
        run = start(campaign)
        resend_chunk(resending_id=run.pk, most=2)
        self.leave()
        assert complete_finished() == 0
        assert not complete(campaign.pk)
        finish(run)
        self.leave()
        assert complete_finished() == 1
        assert AuditEntry.objects.filter(verb="campaign.complete").count() == 1
        assert AuditEntry.objects.filter(verb="campaign.retry").count() == 1

    def leave(self):
        QueueEntry.objects.all().delete()
        Message.objects.filter(status="queued").update(status="accepted")

    def test_a_canceled_campaign_stops_it_and_the_rest_stays_canceled(
        self, campaign, start, operator
    ):
        run = start(campaign)
        resend_chunk(resending_id=run.pk, most=2)
        assert cancel_campaign(campaign=campaign, actor=operator)
        assert not resend_chunk(resending_id=run.pk, most=2)
        run.refresh_from_db()
        assert (run.state, run.queued) == ("stopped", 2)
        assert "was canceled" in run.sentence
        assert statuses() == ["canceled"] * MANY
        assert_balanced(campaign)
        assert finish(start(campaign)).queued == MANY

    def test_a_canceled_campaign_is_not_reopened_before_its_retry_has_stopped(
        self, campaign, start, operator
    ):
        run = start(campaign)
        cancel_campaign(campaign=campaign, actor=operator)
        assert not QueueEntry.objects.exists()
        one = Message.objects.filter(campaign=campaign)[:1].get()
        assert not retry_message(message=one, actor=operator)
        resend_chunk(resending_id=run.pk)
        assert retry_message(message=one, actor=operator)
        assert not resend_chunk(resending_id=run.pk)
        assert queued() == 1

    def test_of_a_paused_campaign_waits(self, campaign, start, operator):
        run = start(campaign)
        campaign.refresh_from_db()
        campaign.pause(PauseCause.PERSON, "Wait.", actor=operator)
        assert finish(run).queued == MANY
        assert Campaign.objects.get().state == "paused"
        assert QueueEntry.objects.count() == MANY
        assert sweep_canceled() == 0

    def test_a_restore_stops_it(self, campaign, start):
        run = start(campaign)
        resend_chunk(resending_id=run.pk, most=2)
        assert stop_resendings("Look first.") == [f"Send again: {MANY} messages"]
        assert not resend_chunk(resending_id=run.pk, most=2)
        assert queued() == 2

    def test_a_person_stops_it(self, campaign, start, operator):
        run = start(campaign)
        resend_chunk(resending_id=run.pk, most=2)
        assert stop_resending(run=run, actor=operator)
        assert not resend_chunk(resending_id=run.pk, most=2)
        assert statuses().count("canceled") == MANY - 2

    def test_gives_up_after_some_failures_and_lets_the_campaign_end(self, campaign, start):
        run = start(campaign)
        for _ in range(MAX_FAILURES):
            note_failure(resending_id=run.pk, error=ValueError("no"))
        run.refresh_from_db()
        assert run.has_failed
        assert complete_finished() == 1

    def test_a_message_is_sent_again_by_itself_meanwhile(self, campaign, start, operator):
        run = start(campaign)
        last = Message.objects.latest("pk")
        assert retry_message(message=last, actor=operator)
        run = finish(run)
        assert (run.queued, run.left_out, queued()) == (MANY - 1, 1, MANY)
        assert AuditEntry.objects.get(verb="resending.complete").after["left out"] == 1


@pytest.mark.django_db(transaction=True)
def test_two_presses_at_once_and_two_workers_queue_each_message_once():
    actor = User.objects.create_user("operator@example.com", "x", role="operator")
    campaign, key, ready = make_over(), uuid4(), Barrier(2)
    given = {
        "key": key, "campaign": campaign, "until": timezone.now(), "most": MANY, "actor": actor,
        "chosen": {"campaign": str(campaign.pk), "status": "canceled"},
    }  # fmt: skip

    def press_and_work(_):
        ready.wait(30)
        try:
            run = start_retry(**given)
            while Resending.objects.get(pk=run.pk).is_running:
                resend_chunk(resending_id=run.pk, most=1)
            return run.pk
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(press_and_work, range(2)))) == 1
    assert queued() == MANY
    assert Resending.objects.get().queued == MANY
    assert set(Message.objects.values_list("status", "round")) == {("queued", 1)}
    assert AuditEntry.objects.filter(verb="campaign.retry").count() == 1


class TestPages:
    @pytest.fixture
    def client(self, operator, logged_in, monkeypatch):
        monkeypatch.setattr(campaign_views, "CHUNK", 2)
        return logged_in(operator)

    def press(self, client, campaign):
        """Return what the button of the page as it is now sends."""
        page = client.get(self.url("retry", campaign), {"status": "canceled"}).text
        form = page[page.index('<form method="post"') :]
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
        return {name: html.unescape(value) for name, value in fields.items()}

    def url(self, name, campaign):
        return reverse(f"outbox:campaign-{name}", args=[campaign.pk])

    def test_a_large_press_begins_it_once_and_leads_to_how_far_it_is(self, client, campaign):
        pressed = self.press(client, campaign)
        for _ in range(2):
            answer = client.post(self.url("retry", campaign), pressed)
            run = Resending.objects.get()
            assert answer["Location"] == reverse("outbox:resending", args=[run.pk])
        assert queued() == 0
        page = client.get(answer["Location"]).text
        assert f"0 of {MANY}" in page
        assert campaign.name in page

    @pytest.mark.parametrize("given", ["", "blocklisted"])
    def test_offers_the_reasons_of_what_is_chosen_and_what_was_given(self, client, given):
        campaign = make_over(3, status="bounced")
        rows = Message.objects.order_by("pk")
        for message, reason in zip(rows, ("mailbox_full", "odd_one", "odd_one"), strict=True):
            Message.objects.filter(pk=message.pk).update(reason=reason)
        other = make_over(1, status="bounced")
        Message.objects.filter(campaign=other).update(reason="policy")
        asked = {"status": "bounced", "reason": given}
        field = client.get(self.url("retry", campaign), asked).context["form"].fields["reason"]
        told = [(reason, words.rpartition(" · ")[2]) for reason, words in field.choices[1:]]
        left = [(given, "0")] if given else []
        assert told == [("odd_one", "2"), ("mailbox_full", "1"), *left]
        page = client.get(self.url("retry", campaign), {"status": "expired"})
        assert len(page.context["form"].fields["reason"].choices) == 1

    def test_a_small_press_is_done_at_once(self, client, operator):
        campaign = make_over(2)
        answer = client.post(self.url("retry", campaign), self.press(client, campaign), follow=True)
        assert "2 messages are queued again." in answer.text
        assert not Resending.objects.exists()

    def test_a_second_press_meanwhile_says_so(self, client, campaign):
        first, second = self.press(client, campaign), self.press(client, campaign)
        client.post(self.url("retry", campaign), first)
        answer = client.post(self.url("retry", campaign), second, follow=True)
        assert "being sent again already" in answer.text
        assert Resending.objects.count() == 1

    def test_tell_how_many_of_how_many(self, client, campaign, start, viewer, logged_in):
        run = start(campaign)
        resend_chunk(resending_id=run.pk, most=2)
        stop = reverse("outbox:resending-stop", args=[run.pk])
        for name in ("resending", "retry"):
            page = client.get(self.url(name, campaign)).text
            assert f"2 of {MANY} messages are queued" in page
            assert stop in page
        assert "Sending again stops" in client.get(self.url("cancel", campaign)).text
        assert self.url("resending", campaign) in client.get(f"/campaigns/{campaign.pk}/").text
        assert stop not in logged_in(viewer).get(self.url("resending", campaign)).text

    def test_tell_that_it_was_stopped_until_one_gets_through(self, client, campaign, start):
        url = self.url("resending", campaign)
        assert "Nothing of it is being sent again." in client.get(url).text
        run = start(campaign)
        resend_chunk(resending_id=run.pk, most=2)
        client.post(reverse("outbox:resending-stop", args=[run.pk]))
        assert "Sending again was stopped" in client.get(url).text
        finish(start(campaign))
        assert "Nothing of it is being sent again." in client.get(url).text


def test_a_chunk_is_what_a_press_does_at_most():
    assert campaign_views.CHUNK == CHUNK == resend_chunk.__kwdefaults__["most"]
