"""A mailbox that is not gone, but refuses one message after another, is left alone for a while."""

from datetime import timedelta
from itertools import count

import pytest
from django.utils import timezone

from mailops.dispatch.sweeping import sweep_expired
from mailops.feedback import soft_bounces
from mailops.feedback.models import SoftBounceScan
from mailops.feedback.tasks import suppress_repeated_soft_bounces
from mailops.outbox.models import EventKind, Message, QueueEntry, Status
from mailops.outbox.recording import Outcome, record
from mailops.protocol.classification import classify
from mailops.protocol.dsn import Action
from mailops.protocol.reply import Reply
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import unsuppress
from tests.factories import make_message, make_stream
from tests.feedback.conftest import make_sent, receive, report_on, sender_of

FULL = Reply(452, "4.2.2 Mailbox full", "4.2.2", "RCPT")
FULL_FOR_GOOD = Reply(552, "5.2.2 Mailbox full", "5.2.2", "RCPT")
GREYLISTED = Reply(451, "4.7.1 Greylisted, try again later", "4.7.1", "RCPT")
POLICY = Reply(450, "4.7.1 Refused by local policy for now", "4.7.1", "RCPT")
BUSY = Reply(421, "4.3.2 Shutting down", "4.3.2", "RCPT")
SPAM = Reply(550, "5.7.1 This message looks like spam", "5.7.1", "DATA")
_fences = count(100)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_wait(monkeypatch):
    monkeypatch.setattr(soft_bounces, "SETTLED", timedelta(0))


@pytest.fixture
def stream(db):
    return make_stream()


def make(stream):
    return make_message(stream=stream, recipient="Bob@Example.net", address_key="bob@example.net")


def answer(message, reply):
    """Record what the dispatcher records of a negative reply."""
    fence, meaning = next(_fences), classify(reply, "rcpt")
    QueueEntry.objects.filter(pk=message.pk).update(fence=fence, worker_id=1)
    outcome = Outcome(
        message_id=message.pk,
        kind=EventKind.DEFERRED if reply.is_transient else EventKind.BOUNCED,
        source="dispatch",
        external_id=f"{fence}:reply",
        fence=fence,
        reply=reply,
        reason=meaning.reason,
        fault=meaning.fault,
        sentence=meaning.sentence,
    )
    assert record([outcome])[0].was_applied


def expire(stream, *replies):
    """Let one message expire after these replies."""
    message = make(stream)
    for reply in replies:
        answer(message, reply)
    QueueEntry.objects.filter(pk=message.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    assert sweep_expired() == 1
    return message


def reported_full(message):
    receive(
        report_on(message, status="5.2.2", diagnostic="552 5.2.2 Mailbox full"), sender_of(message)
    )


class TestRepeatedSoftBounces:
    def test_in_session_suppress_for_a_while_once_three_messages_expired(self, stream):
        for number in range(3):
            assert not Suppression.objects.exists(), number
            last = expire(stream, FULL, FULL)
            suppress_repeated_soft_bounces()
        entry = Suppression.objects.get()
        assert (entry.address_key, entry.reason, entry.stream) == (
            "bob@example.net", Suppression.Reason.SOFT_BOUNCES, None,
        )  # fmt: skip
        assert timedelta(days=89) < entry.expires_at - timezone.now() < timedelta(days=91)
        assert entry.evidence_text == "452 4.2.2 Mailbox full"
        assert entry.evidence_event_id == last.events.get(kind=EventKind.EXPIRED).pk

    def test_of_reports_and_of_sessions_count_together(self, stream):
        reported_full(make_sent(stream=stream))
        answer(make(stream), FULL_FOR_GOOD)
        expire(stream, FULL)
        suppress_repeated_soft_bounces()
        assert Suppression.objects.get().reason == Suppression.Reason.SOFT_BOUNCES

    def test_of_reports_alone_count(self, stream):
        for _ in range(3):
            reported_full(make_sent(stream=stream))
        suppress_repeated_soft_bounces()
        assert Suppression.objects.get().evidence_text == "552 5.2.2 Mailbox full"

    @pytest.mark.parametrize("reply", [GREYLISTED, POLICY, BUSY])
    def test_that_speak_of_something_else_do_not_count(self, stream, reply):
        for _ in range(4):
            expire(stream, FULL, reply)
        suppress_repeated_soft_bounces()
        assert not Suppression.objects.exists()

    def test_a_message_that_nobody_answered_does_not_count(self, stream):
        for _ in range(4):
            expire(stream)
        suppress_repeated_soft_bounces()
        assert not Suppression.objects.exists()

    def test_of_one_message_are_one(self, stream):
        sent = make_sent(stream=stream)
        for number in range(4):
            content = report_on(
                sent, status="5.2.2", diagnostic=f"552 5.2.2 Mailbox full, try {number}"
            )
            receive(content, sender_of(sent))
        suppress_repeated_soft_bounces()
        assert not Suppression.objects.exists()

    def test_are_forgotten_when_a_message_is_taken(self, stream):
        for number in range(4):
            if number == 2:
                delivered = make_sent(stream=stream)
                receive(
                    report_on(delivered, action=Action.DELIVERED, status="2.0.0", diagnostic=""),
                    sender_of(delivered),
                )
            expire(stream, FULL)
        suppress_repeated_soft_bounces()
        assert not Suppression.objects.exists()

    def test_go_on_past_what_says_nothing_of_the_mailbox(self, stream):
        for number in range(3):
            expire(stream, FULL)
            if number == 1:
                answer(make(stream), SPAM)
                expire(stream, GREYLISTED)
        suppress_repeated_soft_bounces()
        assert Suppression.objects.exists()

    def test_of_long_ago_do_not_count(self, stream):
        for number in range(3):
            expire(stream, FULL)
            if number < 2:
                Message.objects.update(created_at=timezone.now() - timedelta(days=31))
        suppress_repeated_soft_bounces()
        assert not Suppression.objects.exists()

    def test_of_another_address_do_not_count(self, stream):
        for number in range(3):
            message = expire(stream, FULL)
            Message.objects.filter(pk=message.pk).update(address_key=f"r{number}@example.net")
        suppress_repeated_soft_bounces()
        assert not Suppression.objects.exists()


class TestScan:
    def test_reads_each_event_once_so_that_a_removal_stays(self, stream, operator):
        for _ in range(3):
            expire(stream, FULL)
        suppress_repeated_soft_bounces()
        unsuppress(suppression=Suppression.objects.get(), reason="emptied", actor=operator)
        suppress_repeated_soft_bounces()
        assert not Suppression.objects.exists()

    def test_asks_no_more_of_the_list_the_more_mailboxes_are_full(
        self, stream, django_assert_max_num_queries
    ):
        for number in range(4):
            for _ in range(3):
                message = expire(stream, FULL)
                Message.objects.filter(pk=message.pk).update(address_key=f"r{number}@example.net")
        with django_assert_max_num_queries(20):
            soft_bounces.suppress_repeated()
        assert Suppression.objects.count() == 4

    def test_goes_in_chunks(self, stream, monkeypatch):
        monkeypatch.setattr(soft_bounces, "CHUNK", 2)
        for _ in range(3):
            expire(stream, FULL)
        assert [soft_bounces.suppress_repeated() for _ in range(4)] == [True, True, True, False]
        assert Suppression.objects.exists()

    def test_waits_for_events_whose_elders_may_still_be_written(self, stream, monkeypatch):
        monkeypatch.setattr(soft_bounces, "SETTLED", timedelta(seconds=30))
        expire(stream, FULL)
        assert not soft_bounces.suppress_repeated()
        assert SoftBounceScan.objects.get().event_id == 0

    def test_asks_no_more_the_more_messages_expired_for_another_reason(
        self, stream, django_assert_max_num_queries
    ):
        for _ in range(5):
            expire(stream, GREYLISTED)
        with django_assert_max_num_queries(12):
            soft_bounces.suppress_repeated()


def test_a_closed_message_keeps_the_reply_that_is_shown(stream):
    message = expire(stream, FULL)
    message.refresh_from_db()
    assert (message.status, message.reply_line) == (Status.EXPIRED, "452 4.2.2 Mailbox full")
