"""Recording: one transaction for event, status, queue entry and tally, whatever is told twice."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.outbox.closing import close_set
from mailops.outbox.fold import MOST_ATTEMPTS
from mailops.outbox.ledger import bucket_of
from mailops.outbox.models import (
    IMPLIED_BY,
    CountKey,
    Event,
    EventKind,
    Evidence,
    Message,
    QueueEntry,
    Status,
    Tally,
)
from mailops.outbox.recording import Outcome, record
from mailops.outbox.settling import settle_as_accepted
from mailops.protocol.reply import Reply
from mailops.reports.folding import fold_tallies
from mailops.reports.verifying import EVER, differences
from mailops.reports.verifying_replies import reply_differences
from mailops.transports.models import Stream
from tests.factories import make_campaign, make_message, make_stream, make_transport
from tests.outbox.doubts import doubt, make_doubtful

pytestmark = pytest.mark.django_db


def claimed(fence=7, *, marked=True, **fields):
    message = make_message(**fields)
    mark = datetime.now(UTC) if marked else None
    QueueEntry.objects.filter(pk=message.pk).update(worker_id=1, fence=fence, marked_at=mark)
    return message


def result(message, kind, fence=7, **fields):
    return Outcome(
        **{
            "message_id": message.pk,
            "kind": kind,
            "source": "dispatch",
            "external_id": f"{fence}:{kind}",
            "fence": fence,
            **fields,
        }
    )


def status_sums():
    sums = (
        Tally.objects.filter(measure=CountKey.Measure.STATUS)
        .values("kind")
        .annotate(total=Sum("n"))
    )
    return {row["kind"]: row["total"] for row in sums.order_by("kind")}


class TestRecord:
    def test_writes_event_status_entry_and_tallies_together(self):
        message = claimed()
        (recorded,) = record(
            [
                result(
                    message,
                    EventKind.ACCEPTED,
                    reply=Reply(250, "2.0.0 Ok: queued as 4F1", "2.0.0", "."),
                    transport_message_id="4F1",
                )
            ]
        )
        message.refresh_from_db()
        assert (recorded.status_before, recorded.status_after) == (Status.QUEUED, Status.ACCEPTED)
        assert (message.status, message.reply_code, message.transport_message_id) == (
            "accepted",
            250,
            "4F1",
        )
        assert message.accepted_at is not None
        assert message.settled_at == message.accepted_at
        assert not QueueEntry.objects.exists()
        assert Event.objects.get().reply_text == "2.0.0 Ok: queued as 4F1"
        assert status_sums() == {"accepted": 1, "queued": -1}
        assert Tally.objects.get(measure="event").kind == "accepted"

    def test_the_same_outcome_twice_changes_nothing(self):
        message = claimed()
        record([result(message, EventKind.ACCEPTED)])
        before = list(Tally.objects.values())
        (again,) = record([result(message, EventKind.ACCEPTED)])
        assert not again.is_new
        assert list(Tally.objects.values()) == before
        assert Event.objects.count() == 1

    def test_a_doubled_outcome_in_one_batch_counts_once(self):
        message = claimed()
        first, second = record([result(message, EventKind.ACCEPTED)] * 2)
        assert (first.is_new, second.is_new) == (True, False)
        assert Event.objects.count() == 1

    def test_a_deferral_backs_off_and_frees_the_claim(self):
        message = claimed(stream=make_stream(backoff_seconds=[600]))
        record(
            [
                result(
                    message,
                    EventKind.DEFERRED,
                    reply=Reply(451, "later", "", "RCPT"),
                    retry_after=900,
                )
            ]
        )
        entry = QueueEntry.objects.get()
        message.refresh_from_db()
        assert (entry.worker_id, entry.fence, entry.marked_at, entry.attempts) == (
            None,
            None,
            None,
            1,
        )
        assert entry.due_at > datetime.now(UTC) + timedelta(seconds=880)
        assert (message.status, message.settled_at) == ("deferred", None)

    def test_a_late_negative_reply_is_told_and_not_counted(self):
        message = claimed(fence=8)
        (recorded,) = record([result(message, EventKind.BOUNCED, fence=7)])
        assert not recorded.was_applied
        assert Event.objects.get().was_applied is False
        assert not Tally.objects.exists()
        assert QueueEntry.objects.get().fence == 8

    def test_a_verdict_and_the_reply_read_after_it_are_two_facts(self):
        message = claimed()
        record([result(message, EventKind.UNCERTAIN, external_id="7:uncertain")])
        record([result(message, EventKind.ACCEPTED, external_id="7:reply")])
        message.refresh_from_db()
        assert message.status == Status.ACCEPTED
        assert Event.objects.count() == 2
        assert status_sums() == {"accepted": 1, "queued": -1, "uncertain": 0}

    def test_a_late_4yz_reopens_the_campaign(self):
        campaign = make_campaign(state=Campaign.State.RUNNING)
        message = claimed(stream=campaign.stream, campaign=campaign)
        record([result(message, EventKind.UNCERTAIN)])
        Campaign.objects.update(state=Campaign.State.COMPLETED, finished_at=datetime.now(UTC))
        record([result(message, EventKind.DEFERRED)])
        campaign.refresh_from_db()
        assert (campaign.state, campaign.finished_at) == (Campaign.State.RUNNING, None)
        assert QueueEntry.objects.get().campaign_id == campaign.pk

    def test_a_late_4yz_leaves_a_canceled_campaign_canceled(self):
        campaign = make_campaign(state=Campaign.State.RUNNING)
        message = claimed(stream=campaign.stream, campaign=campaign)
        record([result(message, EventKind.UNCERTAIN)])
        Campaign.objects.update(state=Campaign.State.CANCELED)
        record([result(message, EventKind.DEFERRED)])
        campaign.refresh_from_db()
        assert campaign.state == Campaign.State.CANCELED

    def test_a_deferral_can_be_stored_however_many_came_before(self):
        message = claimed()
        QueueEntry.objects.update(attempts=MOST_ATTEMPTS)
        record([result(message, EventKind.DEFERRED)])
        message.refresh_from_db()
        assert message.status == Status.DEFERRED

    def test_a_hostile_reply_can_be_stored(self):
        message = claimed()
        record([result(message, EventKind.BOUNCED, reply=Reply(550, "no\0\ud800" + "x" * 100_000))])
        message.refresh_from_db()
        assert message.reply_text.startswith("no\ufffd?")
        assert len(message.reply_text) == 2000

    def test_what_comes_when_counts_are_sealed_is_counted_in_the_first_that_are_not(self, settings):
        message, now = claimed(), timezone.now()
        open_since = bucket_of(now - timedelta(days=settings.MAILOPS_COUNT_DAYS))
        record([result(message, EventKind.ACCEPTED, occurred_at=now - timedelta(days=500))])
        tally = Tally.objects.get(measure="event")
        assert open_since <= tally.bucket_at <= open_since + timedelta(minutes=15)
        assert tally.cohort_at == tally.bucket_at

    def test_history_is_counted_when_it_happened(self, settings):
        settings.MAILOPS_COUNT_DAYS = 10_000
        message = claimed()
        then = datetime(2026, 3, 29, 1, 44, tzinfo=UTC)
        record([result(message, EventKind.ACCEPTED, occurred_at=then)])
        record(
            [
                Outcome(
                    message_id=message.pk,
                    kind=EventKind.RETURNED,
                    source="dsn",
                    external_id="1",
                    occurred_at=then + timedelta(hours=5),
                )
            ]
        )
        returned = Tally.objects.get(kind="returned")
        assert returned.bucket_at == datetime(2026, 3, 29, 6, 30, tzinfo=UTC)
        assert returned.cohort_at == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)

    def test_a_sensitive_stream_forgets_the_content_when_the_message_closes(self):
        message = claimed(stream=make_stream(is_sensitive=True), merge_data={"reset": "secret"})
        record([result(message, EventKind.DEFERRED)])
        message.refresh_from_db()
        assert message.merge_data == {"reset": "secret"}
        QueueEntry.objects.update(fence=8)
        record([result(message, EventKind.ACCEPTED, fence=8)])
        message.refresh_from_db()
        assert message.merge_data == {}

    def test_a_late_4yz_of_a_sensitive_stream_sends_no_empty_mail(self):
        stream = make_stream(is_sensitive=True)
        campaign = make_campaign(state=Campaign.State.COMPLETED, stream=stream)
        message = claimed(stream=stream, campaign=campaign, merge_data={"reset": "secret"})
        late = result(
            message,
            EventKind.DEFERRED,
            reply=Reply(451, "4.3.0 later", "4.3.0", "."),
            reason="server_busy",
            sentence="The server is busy.",
        )
        record([result(message, EventKind.UNCERTAIN)])
        record([late])
        record([late])
        message.refresh_from_db()
        campaign.refresh_from_db()
        assert (message.status, message.reason) == ("failed", "content_not_kept")
        assert "was not kept" in message.sentence
        assert message.reply_code == 451
        assert (message.settled_at is not None, message.merge_data) == (True, {})
        assert not QueueEntry.objects.exists()
        assert campaign.state == Campaign.State.COMPLETED
        told = Event.objects.get(kind="deferred")
        assert (told.reason, told.sentence) == ("server_busy", "The server is busy.")
        assert status_sums() == {"failed": 1, "queued": -1, "uncertain": 0}

    def test_costs_the_same_number_of_queries_for_one_and_for_many(self, django_assert_num_queries):
        stream = make_stream()
        messages = [claimed(fence=n, stream=stream) for n in range(20)]
        with django_assert_num_queries(11):
            record([result(messages[0], EventKind.ACCEPTED, fence=0)])
        with django_assert_num_queries(11):
            record([result(m, EventKind.ACCEPTED, fence=n) for n, m in enumerate(messages) if n])


class TestToldAgain:
    """What a message comes to counts once a round, whoever tells it; all that was told stays on its timeline."""

    ONCE = (
        EventKind.ACCEPTED,
        EventKind.DELIVERED,
        EventKind.RETURNED,
        EventKind.COMPLAINED,
        EventKind.UNSUBSCRIBED,
    )

    def tell(self, message, kind, *sources, **fields):
        told = [
            Outcome(message_id=message.pk, kind=kind, source=source, external_id=f"{kind}-{fields}", **fields)
            for source in sources
        ]  # fmt: skip
        return [record([one])[0] for one in told]

    def counted(self, *kinds):
        found = Tally.objects.filter(measure="event", kind__in=kinds)
        return found.aggregate(Sum("n", default=0))["n__sum"]

    @pytest.mark.parametrize("kind", ONCE)
    def test_counts_once(self, kind):
        message = make_message()
        first, second = self.tell(message, kind, "dsn", "postmark")
        assert (first.is_new, second.is_new) == (True, True)
        assert self.counted(kind) == 1
        one, other = message.events.order_by("pk")
        assert (one.was_applied, other.was_applied) == (True, False)
        assert other.was_told_before
        assert not other.came_too_late
        assert differences(since=EVER[0], until=EVER[1]) == []

    def test_of_one_transaction_counts_once(self):
        message = make_message()
        record(
            Outcome(message_id=message.pk, kind=EventKind.RETURNED, source=source, external_id="1")
            for source in ("dsn", "postmark")
        )
        assert self.counted(EventKind.RETURNED) == 1

    def test_shows_what_was_told_first(self):
        message = make_message()
        for number, text in enumerate(("5.1.1 No such user", "bounced")):
            reply = Reply(550, text)
            self.tell(message, EventKind.RETURNED, f"source {number}", reply=reply, reason=text)
        message.refresh_from_db()
        assert (message.reply_text, message.reason) == ("5.1.1 No such user", "5.1.1 No such user")
        fold_tallies()
        assert reply_differences() == []

    def test_a_refusal_in_session_and_its_report_are_one_bounce(self):
        message = claimed()
        record([result(message, EventKind.BOUNCED)])
        self.tell(message, EventKind.RETURNED, "dsn")
        message.refresh_from_db()
        assert (message.status, message.evidence) == (Status.BOUNCED, Evidence.RETURNED)
        assert self.counted(EventKind.BOUNCED, EventKind.RETURNED) == 1

    @pytest.mark.parametrize("order", [1, -1])
    def test_a_delivery_and_a_bounce_count_both_in_any_order(self, order):
        message = make_message()
        for kind in (EventKind.DELIVERED, EventKind.RETURNED)[::order]:
            self.tell(message, kind, "dsn", "postmark")
        message.refresh_from_db()
        assert message.status == Status.BOUNCED
        assert (self.counted(EventKind.DELIVERED), self.counted(EventKind.RETURNED)) == (1, 1)

    def test_of_a_new_round_counts_anew(self):
        message = make_message()
        for number in range(2):
            self.tell(message, EventKind.RETURNED, "dsn", "postmark", round=number)
            self.tell(message, EventKind.REQUEUED, f"person {number}")
        assert self.counted(EventKind.RETURNED) == 2
        assert differences(since=EVER[0], until=EVER[1]) == []


class TestImpliedAcceptance:
    """What settles a doubt can only come of mail that was taken, so its acceptance is counted, too."""

    SETTLING = (
        EventKind.DELIVERED,
        EventKind.RETURNED,
        EventKind.COMPLAINED,
        EventKind.UNSUBSCRIBED,
        EventKind.OPENED,
        EventKind.CLICKED,
        EventKind.DELAYED,
    )

    def tell(self, message, kind, **fields):
        outcome = Outcome(
            message_id=message.pk, kind=kind, source="ses", external_id=f"{kind}-{fields}", **fields
        )
        (recorded,) = record([outcome])
        assert differences(since=EVER[0], until=EVER[1]) == []
        return recorded

    def counted(self, kind=EventKind.ACCEPTED):
        found = Tally.objects.filter(measure="event", kind=kind)
        return found.aggregate(Sum("n", default=0))["n__sum"]

    @pytest.mark.parametrize("guarantee", Stream.Guarantee.values)
    @pytest.mark.parametrize("kind", SETTLING)
    def test_comes_with_whatever_proves_it(self, kind, guarantee):
        message = make_doubtful(guarantee=guarantee)
        self.tell(message, kind)
        assert (self.counted(), self.counted(kind)) == (1, 1)

    def test_comes_with_a_person_s_word(self, operator):
        message = make_doubtful()
        assert settle_as_accepted(message=message, actor=operator)
        assert self.counted() == 1

    @pytest.mark.parametrize("kind", SETTLING)
    def test_is_of_when_its_content_went_out_and_so_is_its_cohort(self, kind):
        message, began = claimed(), timezone.now() - timedelta(hours=2)
        QueueEntry.objects.update(marked_at=began)
        record([result(message, EventKind.UNCERTAIN, occurred_at=began + timedelta(minutes=16))])
        self.tell(message, kind)
        message.refresh_from_db()
        accepted, told = (
            Tally.objects.get(measure="event", kind=one) for one in ("accepted", kind)
        )
        assert message.accepted_at == began
        assert accepted.bucket_at == accepted.cohort_at == told.cohort_at == bucket_of(began)

    def test_of_what_was_in_doubt_before_counts_were_sealed_counts_in_the_first_that_are_not(self):
        message, began = claimed(), timezone.now() - timedelta(days=500)
        QueueEntry.objects.update(marked_at=began)
        record([result(message, EventKind.UNCERTAIN, occurred_at=began)])
        self.tell(message, EventKind.RETURNED)
        assert self.counted() == 1

    def test_is_told_of_as_what_it_is(self):
        message = make_doubtful()
        self.tell(message, EventKind.DELIVERED)
        _, implied, _ = message.events.order_by("pk")
        assert (implied.kind, implied.data) == ("accepted", {IMPLIED_BY: "delivered"})
        assert (implied.took_ms, implied.waited_ms) == (None, None)
        assert "No answer to it was read" in implied.sentence
        assert "“Delivered”" in implied.sentence

    @pytest.mark.parametrize("guarantee", Stream.Guarantee.values)
    def test_and_the_answer_that_is_read_after_all_count_once(self, guarantee):
        message = claimed(stream=make_stream(guarantee=guarantee))
        record([result(message, EventKind.UNCERTAIN)])
        self.tell(message, EventKind.DELIVERED)
        late = result(message, EventKind.ACCEPTED, external_id="7:reply", round=0)
        late.transport_message_id = "4F1"
        record([late])
        message.refresh_from_db()
        assert differences(since=EVER[0], until=EVER[1]) == []
        assert self.counted() == 1
        assert message.events.get(external_id="7:reply").was_told_before
        assert message.transport_message_id == "4F1"

    @pytest.mark.parametrize("kind", SETTLING)
    @pytest.mark.parametrize("answer", [EventKind.ACCEPTED, EventKind.UNCERTAIN, None])
    def test_of_a_body_on_its_way_counts_once_whatever_becomes_of_its_answer(self, kind, answer):
        transport, message = make_transport(), claimed()
        QueueEntry.objects.update(transport_id=transport.pk)
        self.tell(message, kind)
        if answer:
            record([result(message, answer)])
        message.refresh_from_db()
        assert differences(since=EVER[0], until=EVER[1]) == []
        assert self.counted() == 1
        assert Tally.objects.get(kind="accepted", measure="event").transport_id == transport.pk
        assert message.transport_id == transport.pk
        assert message.accepted_at is not None

    def test_of_a_body_on_its_way_leaves_a_doubt_before_it(self):
        message = make_doubtful(guarantee="resend")
        QueueEntry.objects.update(worker_id=1, fence=99, marked_at=timezone.now())
        self.tell(message, EventKind.DELIVERED)
        assert message.events.get(kind="accepted").round == 1

    def test_of_each_round_counts_once(self):
        message = make_doubtful()
        self.tell(message, EventKind.RETURNED)
        self.tell(message, EventKind.REQUEUED)
        doubt(message, make_transport())
        self.tell(message, EventKind.RETURNED, round=0)
        self.tell(message, EventKind.DELIVERED, round=1)
        assert self.counted() == 2

    def test_of_an_earlier_round_is_of_that_round(self):
        message = make_doubtful(guarantee="resend")
        doubt(message, make_transport())
        self.tell(message, EventKind.DELIVERED, round=0)
        first, _ = message.events.filter(kind="uncertain").order_by("pk")
        implied = message.events.get(kind="accepted")
        assert (implied.round, implied.occurred_at.isoformat()) == (0, first.data["marked_at"])

    def test_is_of_the_transport_that_told_where_none_is_known(self):
        message, transport = claimed(), make_transport()
        record([result(message, EventKind.UNCERTAIN, reason="restored")])
        self.tell(message, EventKind.COMPLAINED, transport_id=transport.pk)
        assert Tally.objects.get(kind="accepted", measure="event").transport_id == transport.pk

    def test_costs_the_same_number_of_queries_for_one_and_for_many(self, django_assert_num_queries):
        stream = make_stream(transport=make_transport())
        messages = [make_doubtful(stream=stream) for _ in range(20)]
        for some in (messages[:1], messages[1:]):
            settled = [
                Outcome(message_id=m.pk, kind=EventKind.SETTLED, source="person", external_id=str(m.pk))
                for m in some
            ]  # fmt: skip
            with django_assert_num_queries(11):
                record(settled)
        assert self.counted() == 20


class TestClosingASet:
    def close(self, kind=EventKind.CANCELED, **filters):
        return close_set(
            kind=kind,
            entries=QueueEntry.objects.filter(**filters),
            source="outbox",
            reason="campaign_canceled",
            sentence="The campaign was canceled.",
        )

    def test_closes_claimed_messages_and_spares_marked_ones(self):
        waiting, taken, sending = make_message(), claimed(marked=False), claimed(fence=9)
        assert self.close() == 2
        statuses = dict(Message.objects.values_list("pk", "status"))
        assert statuses == {waiting.pk: "canceled", taken.pk: "canceled", sending.pk: "queued"}
        assert QueueEntry.objects.get().pk == sending.pk
        assert Event.objects.count() == 2
        assert status_sums() == {"canceled": 2, "queued": -2}

    def test_closes_only_what_was_chosen(self):
        one, _ = make_message(), make_message()
        assert self.close(address_key=one.address_key) == 1
        assert QueueEntry.objects.count() == 1

    def test_a_canceled_message_sent_again_and_canceled_again_is_told_twice(self):
        message = make_message()
        self.close()
        record(
            [
                Outcome(
                    message_id=message.pk,
                    kind=EventKind.REQUEUED,
                    source="person",
                    external_id="again",
                )
            ]
        )
        assert self.close() == 1
        assert list(Event.objects.order_by("pk").values_list("kind", flat=True)) == [
            "canceled",
            "requeued",
            "canceled",
        ]
        assert status_sums() == {"canceled": 1, "queued": -1}

    def test_a_message_given_up_twice_in_one_round_is_told_and_counted_twice(self):
        message = claimed(fence=5)
        record([result(message, EventKind.UNCERTAIN, fence=5)])
        again = Outcome(
            message_id=message.pk, kind=EventKind.REQUEUED, source="person", external_id="again"
        )
        record([again])
        assert self.close(EventKind.EXPIRED) == 1
        record([result(message, EventKind.DEFERRED, fence=5)])  # the reply of the first round
        assert self.close(EventKind.EXPIRED) == 1
        message.refresh_from_db()
        assert message.status == Status.EXPIRED
        assert Event.objects.filter(kind=EventKind.EXPIRED).count() == 2
        fold_tallies()
        assert differences(since=EVER[0], until=EVER[1]) == []


def test_recounting_messages_agrees_with_the_tallies():
    campaign = make_campaign(state=Campaign.State.RUNNING)
    for number, kind in enumerate(
        [EventKind.ACCEPTED, EventKind.BOUNCED, EventKind.UNCERTAIN, EventKind.DEFERRED]
    ):
        message = claimed(fence=number, stream=campaign.stream, campaign=campaign)
        record([result(message, kind, fence=number)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT status, count(*) FROM outbox_message GROUP BY status")
        recount = dict(cursor.fetchall())
    moved = status_sums()
    assert moved.pop("queued") == -4
    assert moved == recount


def test_buckets_are_quarters_of_an_hour():
    assert bucket_of(datetime(2026, 1, 1, 13, 59, 59, 5, tzinfo=UTC)) == datetime(
        2026, 1, 1, 13, 45, tzinfo=UTC
    )
