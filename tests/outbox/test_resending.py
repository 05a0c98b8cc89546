"""Sending again exactly what a filter chose, once."""

import html
import re
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from mailops.accounts.models import AuditEntry, User
from mailops.campaigns.models import Campaign
from mailops.dispatch.completion import complete_finished
from mailops.lib.chunks import MAX_FAILURES
from mailops.outbox import resending
from mailops.outbox.models import Event, EventKind, Message, QueueEntry, Resending, Status
from mailops.outbox.resending import (
    NothingToResend,
    note_failure,
    plan,
    resend_chunk,
    start_resending,
)
from mailops.transports.models import Stream
from tests.factories import (
    make_campaign,
    make_domain,
    make_message,
    make_stream,
    make_suppression,
)
from tests.outbox.answers import BUSY, NO_SUCH, ODD, answer, make_refused
from tests.outbox.doubts import make_doubtful

pytestmark = pytest.mark.django_db


def chosen_of(message):
    message.refresh_from_db()
    return {"signature": str(message.signature_id)}


def start(actor, chosen, **given):
    return start_resending(
        **{
            "key": uuid4(),
            "chosen": chosen,
            "until": timezone.now(),
            "words": ["a reply"],
            "actor": actor,
            **given,
        }
    )


def finish(run):
    while resend_chunk(resending_id=run.pk):
        pass
    run.refresh_from_db()
    return run


def planned(chosen):
    form = resending.MessageFilterForm(chosen)
    assert form.is_valid()
    return plan(form.cleaned_data)


class TestTimes:
    def test_mean_in_a_worker_what_they_meant_to_the_person(self, operator, logged_in):
        User.objects.update(time_zone="Pacific/Auckland")  # thirteen hours ahead in January
        for at in ("10T10:59", "10T11:00", "11T10:59", "11T11:00", "11T12:00"):
            message = make_refused(idempotency_key=at)
            Message.objects.filter(pk=message.pk).update(settled_at=f"2026-01-{at}Z")
        client, url = logged_in(operator), reverse("outbox:resend")
        chosen = {"answered_since": "2026-01-11T00:00", "answered_until": "2026-01-12T00:00"}
        page = client.get(url, chosen)
        assert page.context["plan"].does == 2
        fields = re.findall(r'name="(\w+)" value="([^"]+)"', page.content.decode())
        client.post(url, {**chosen, **{name: html.unescape(value) for name, value in fields}})
        finish(Resending.objects.get())
        queued = Message.objects.filter(status="queued").order_by("pk")
        assert list(queued.values_list("idempotency_key", flat=True)) == ["10T11:00", "11T10:59"]


class TestPlan:
    def test_tells_apart_what_is_sent_again_and_what_stays(self):
        stream = make_stream()
        first = make_refused(stream=stream)
        make_suppression(address=make_refused(stream=stream).recipient)
        paused = make_campaign(stream=stream, state="paused", pause_cause="person")
        make_refused(stream=stream, campaign=paused)
        gone = make_campaign(stream=stream, state="canceled")
        make_refused(stream=stream, campaign=gone)
        make_refused(stream=make_stream(is_sensitive=True))
        late = make_message(stream=stream)
        answer(late, NO_SUCH, EventKind.DEFERRED)
        doubtful = make_doubtful()
        Message.objects.filter(pk=doubtful.pk).update(signature_id=first.signature_id)
        found = planned(chosen_of(first))
        assert (found.again, found.sooner, found.waiting) == (2, 1, 1)
        assert (found.suppressed, found.canceled, found.forgotten) == (1, 1, 1)
        assert (found.uncertain, found.elsewhere) == (1, 0)

    def test_counts_what_stays_where_an_index_finds_it_and_no_further_than_it_must(
        self, monkeypatch
    ):
        monkeypatch.setattr(resending, "COUNTED", 3)
        stream = make_stream()
        campaign = make_campaign(stream=stream, state="running")
        for status in ("accepted", "queued", "canceled", "held", "bounced", "uncertain"):
            make_message(stream=stream, campaign=campaign, status=status)
        of_campaign = planned({"campaign": str(campaign.pk)})
        assert (of_campaign.elsewhere, of_campaign.uncertain) == (3, 1)
        assert planned({"status": "queued"}).elsewhere == 1
        assert planned({"status": "bounced"}).elsewhere == 0
        of_stream = planned({"stream": str(stream.pk)})
        assert (of_stream.elsewhere, of_stream.uncertain) == (None, 1)
        assert planned({"stream": str(stream.pk), "status": "queued"}).elsewhere is None

    def test_leaves_out_what_has_another_signature(self):
        first = make_refused()
        make_refused(ODD)
        assert planned(chosen_of(first)).does == 1


class TestResending:
    def test_queues_exactly_those(self, operator):
        ours, other = make_refused(), make_refused(ODD)
        run = finish(start(operator, chosen_of(ours)))
        ours.refresh_from_db()
        other.refresh_from_db()
        assert (ours.status, ours.round, other.status) == (Status.QUEUED, 1, Status.BOUNCED)
        assert (run.state, run.queued, run.planned) == ("completed", 1, 1)
        event = Event.objects.get(message=ours, kind=EventKind.REQUEUED)
        assert event.data["by"] == operator.email

    def test_pressed_twice_is_done_once(self, operator):
        ours, key = make_refused(), uuid4()
        first = finish(start(operator, chosen_of(ours), key=key))
        assert start(operator, chosen_of(ours), key=key) == first
        finish(first)
        assert Event.objects.filter(message=ours, kind=EventKind.REQUEUED).count() == 1
        assert AuditEntry.objects.filter(verb="resending.start").count() == 1

    def test_of_two_people_the_second_finds_nothing(self, operator, admin):
        ours = make_refused()
        finish(start(operator, chosen_of(ours)))
        with pytest.raises(NothingToResend):
            start(admin, chosen_of(ours))

    def test_leaves_out_what_ended_after_the_numbers_were_seen(self, operator):
        ours, before = make_refused(), timezone.now()
        late = make_refused()
        run = finish(start(operator, chosen_of(ours), until=before))
        late.refresh_from_db()
        assert (run.queued, late.status) == (1, Status.BOUNCED)

    def test_never_sends_again_what_came_into_doubt_meanwhile(self, operator, monkeypatch):
        ours = make_refused()
        run = start(operator, chosen_of(ours))
        monkeypatch.setattr(resending, "_next", lambda run, _: [ours.pk] if not run.cursor else [])
        Message.objects.filter(pk=ours.pk).update(status=Status.UNCERTAIN)
        run = finish(run)
        ours.refresh_from_db()
        assert (ours.status, run.queued, run.passed_over) == (Status.UNCERTAIN, 0, 1)

    def test_tries_deferred_ones_at_once_without_a_new_round(self, operator):
        message = make_message()
        answer(message, BUSY, EventKind.DEFERRED)
        assert QueueEntry.objects.get(message=message).due_at > timezone.now()
        run = finish(start(operator, chosen_of(message)))
        message.refresh_from_db()
        assert QueueEntry.objects.get(message=message).due_at <= timezone.now()
        assert (message.status, message.round, run.hastened) == (Status.DEFERRED, 0, 1)

    @pytest.mark.parametrize("change", [{"worker_id": 1}, {"is_held": True}])
    def test_counts_only_those_that_it_made_due(self, operator, change):
        first, taken = make_message(), make_message()
        for message in (first, taken):
            answer(message, BUSY, EventKind.DEFERRED)
        QueueEntry.objects.filter(message=taken).update(**change)
        run = finish(start(operator, chosen_of(first)))
        assert (run.planned, run.hastened, run.passed_over, run.looked_at) == (2, 1, 1, 2)

    def test_reopens_a_completed_campaign_as_a_recorded_act(self, operator):
        campaign = make_campaign(state="completed", finished_at=timezone.now(), planned=1)
        ours = make_refused(stream=campaign.stream, campaign=campaign)
        finish(start(operator, chosen_of(ours)))
        campaign.refresh_from_db()
        assert campaign.state == Campaign.State.RUNNING
        assert AuditEntry.objects.filter(verb="campaign.retry").count() == 1

    @pytest.mark.parametrize("is_moved", [False, True])
    def test_leaves_out_completed_campaigns_that_fit_their_stream_no_more(self, operator, is_moved):
        campaign = make_campaign(state="completed", finished_at=timezone.now(), planned=1)
        unfit = make_refused(stream=campaign.stream, campaign=campaign)
        running = make_campaign(stream=campaign.stream, state="running")
        make_refused(stream=campaign.stream, campaign=running)
        make_refused()
        change = {"domain": make_domain()} if is_moved else {"kind": "transactional"}
        Stream.objects.filter(pk=campaign.stream_id).update(**change)
        found = planned(chosen_of(unfit))
        assert (found.again, found.unfit, found.forgotten) == (2, 1, 0)
        run = finish(start(operator, chosen_of(unfit)))
        assert (run.planned, run.queued, run.passed_over) == (2, 2, 0)
        unfit.refresh_from_db()
        campaign.refresh_from_db()
        assert (unfit.status, campaign.state) == (Status.BOUNCED, Campaign.State.COMPLETED)

    def test_looks_again_whether_campaigns_fit_once_they_are_locked(self, operator, monkeypatch):
        campaign = make_campaign(state="completed", finished_at=timezone.now(), planned=1)
        ours = make_refused(stream=campaign.stream, campaign=campaign)
        run = start(operator, chosen_of(ours))
        monkeypatch.setattr(resending, "_next", lambda run, _: [ours.pk] if not run.cursor else [])
        Stream.objects.update(kind="transactional")
        run = finish(run)
        campaign.refresh_from_db()
        assert (run.queued, run.passed_over) == (0, 1)
        assert campaign.state == Campaign.State.COMPLETED

    def test_no_campaign_is_over_before_it_is(self, operator):
        now = timezone.now()
        campaign = make_campaign(
            state="completed", finished_at=now, started_at=now, expanded_at=now, planned=2
        )
        made = [make_refused(stream=campaign.stream, campaign=campaign) for _ in range(2)]
        run = start(operator, chosen_of(made[0]))
        assert resend_chunk(resending_id=run.pk, most=1)
        answer(made[0], NO_SUCH)
        assert complete_finished() == 0
        finish(run)
        answer(made[1], NO_SUCH)
        assert complete_finished() == 1
        assert AuditEntry.objects.filter(verb="campaign.retry").count() == 1

    def test_goes_on_where_it_was_cut_off(self, operator):
        stream = make_stream()
        ours = [make_refused(stream=stream) for _ in range(5)]
        run = start(operator, chosen_of(ours[0]))
        assert resend_chunk(resending_id=run.pk, most=2)  # and then the process was killed
        run = finish(run)
        assert (run.queued, run.passed_over) == (5, 0)
        assert Event.objects.filter(kind=EventKind.REQUEUED).count() == 5

    def test_gives_up_after_some_failures_and_says_why(self, operator):
        run = start(operator, chosen_of(make_refused()))
        for _ in range(MAX_FAILURES):
            note_failure(resending_id=run.pk, error=ValueError("no"))
        run.refresh_from_db()
        assert run.has_failed
        assert "no" in run.detail


class TestPages:
    def test_shows_the_numbers_and_sends_on_the_press(self, operator, logged_in):
        ours, client = make_refused(), logged_in(operator)
        url = reverse("outbox:resend")
        page = client.get(url, chosen_of(ours))
        assert b"Send 1 message again" in page.content
        press = {"key": page.context["key"], "until": page.context["plan"].until.isoformat()}
        for _ in range(2):
            answered = client.post(url, press | chosen_of(ours))
        run = Resending.objects.get()
        assert answered["Location"] == reverse("outbox:resending", args=[run.pk])
        assert client.get(answered["Location"]).status_code == 200

    def test_tells_of_campaigns_that_fit_their_stream_no_more(self, operator, logged_in):
        campaign = make_campaign(state="completed")
        ours = make_refused(stream=campaign.stream, campaign=campaign)
        Stream.objects.update(kind="transactional")
        page = logged_in(operator).get(reverse("outbox:resend"), chosen_of(ours)).text
        assert "1 of completed campaigns that fit it no more" in page
        assert "None of them can be sent again." in page

    def test_leads_to_the_doubts_that_the_filter_chooses(self, operator, logged_in):
        chosen, _ = (make_doubtful() for _ in range(2))
        client, filters = logged_in(operator), {"stream": chosen.stream_id, "status": "uncertain"}
        page = client.get(reverse("outbox:resend"), filters).text
        (link,) = re.findall(r'href="([^"]+)">settle them', page)
        rows = client.get(html.unescape(link)).context["rows"]
        assert [row["message"] for row in rows] == [chosen]

    def test_refuses_a_press_whose_numbers_are_old(self, operator, logged_in):
        ours = make_refused()
        old = {"key": uuid4(), "until": "2026-01-01T00:00:00+00:00"}
        answered = logged_in(operator).post(reverse("outbox:resend"), old | chosen_of(ours))
        assert answered.status_code == 422
        assert not Resending.objects.exists()

    def test_wants_a_filter(self, operator, logged_in):
        assert logged_in(operator).get(reverse("outbox:resend")).status_code == 422

    def test_is_not_for_those_who_may_not_send(self, viewer, logged_in, client):
        ours = make_refused()
        url = reverse("outbox:resend")
        assert logged_in(viewer).get(url, chosen_of(ours)).status_code == 403
        assert client.get(url).status_code == 302
        page = logged_in(viewer).get(reverse("outbox:list"), chosen_of(ours))
        assert ours.recipient in page.text
        assert "Send these again" not in page.text

    def test_stops(self, operator, logged_in):
        run = start(operator, chosen_of(make_refused()))
        logged_in(operator).post(reverse("outbox:resending-stop", args=[run.pk]))
        run.refresh_from_db()
        assert run.state == run.State.STOPPED
        assert not resend_chunk(resending_id=run.pk)

    def test_list_is_filtered_by_a_signature(self, viewer, logged_in):
        ours, other = make_refused(), make_refused(ODD)
        page = logged_in(viewer).get(reverse("outbox:list"), chosen_of(ours)).text
        assert ours.recipient in page
        assert other.recipient not in page
