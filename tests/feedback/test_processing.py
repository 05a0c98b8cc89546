"""Feedback acts on a message only where a signature of ours, or a Message-ID with its recipient, proves it."""

import contextlib
import select
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.db import Error, OperationalError, connection
from django.urls import reverse
from psycopg.errors import ConfigurationLimitExceeded

from mailops.feedback import processing
from mailops.feedback.archiving import archive
from mailops.feedback.models import RawFeedback
from mailops.feedback.replaying import replay, replay_all
from mailops.outbox import tokens
from mailops.outbox.models import Event, EventKind, Status
from mailops.protocol import unsubscribe
from mailops.protocol.dsn import Action
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import unsuppress
from tests.feedback.conftest import (
    complaint_about,
    headers_of,
    make_sent,
    receive,
    report_on,
    sender_of,
)

STATE = RawFeedback.State


def events_of(message):
    return list(message.events.order_by("id").values_list("kind", flat=True))


class Killed(BaseException):
    """What the kernel does to a process: nothing in it goes on."""


def lives_of(work):
    """Return how many processes it takes until `work` returns."""
    for number in range(1, 10):
        try:
            work()
        except Killed:
            continue
        return number
    raise AssertionError("it never comes to an end")


def work_on():
    """Read what waits, in as many processes as it takes, and return their number."""

    def work():
        while processing.process_pending():
            pass

    return lives_of(work)


def arrived(content, *recipients):
    archive(
        source=RawFeedback.Source.MAIL,
        content=content,
        peer="",
        envelope_recipients=list(recipients),
    )
    return RawFeedback.objects.latest("id")


class TestBounce:
    def test_settles_its_message_and_suppresses_the_address(self, sent):
        row = receive(report_on(sent), sender_of(sent))
        sent.refresh_from_db()
        assert (row.state, row.kind, row.is_verified, row.message) == (
            STATE.PROCESSED, "bounce", True, sent,
        )  # fmt: skip
        assert (sent.status, sent.reason, sent.reply_code) == (
            Status.BOUNCED, "unknown_mailbox", 550,
        )  # fmt: skip
        entry = Suppression.objects.get()
        assert (entry.address_key, entry.reason, entry.stream) == (
            "bob@example.net", Suppression.Reason.HARD_BOUNCE, None,
        )  # fmt: skip
        assert entry.evidence_event_id == Event.objects.get().pk
        assert "No such mailbox" in entry.evidence_text

    def test_of_another_fault_suppresses_nobody(self, sent):
        content = report_on(sent, status="5.7.1", diagnostic="554 5.7.1 blocked using a block list")
        receive(content, sender_of(sent))
        sent.refresh_from_db()
        assert sent.status == Status.BOUNCED
        assert not Suppression.objects.exists()

    def test_told_three_times_is_one(self, sent):
        for _ in range(3):
            receive(report_on(sent), sender_of(sent))
        assert events_of(sent) == [EventKind.RETURNED]

    @pytest.mark.parametrize("word", ["=?utf-7?Q?+2AA-?=", "=?utf-7?Q?+AAA-?="])
    def test_with_half_a_character_is_read_like_any(self, word, sent):
        content = report_on(sent).replace(b"No such mailbox", f"No such mailbox {word}".encode())
        row = receive(content, sender_of(sent))
        assert (row.state, row.reason[:8]) == (STATE.PROCESSED, "Recorded")
        assert events_of(sent) == [EventKind.RETURNED]

    def test_of_the_same_octets_is_archived_once(self, sent):
        content = report_on(sent)
        receive(content, sender_of(sent))
        receive(content, sender_of(sent))
        assert RawFeedback.objects.count() == 1

    def test_of_an_old_round_changes_nothing(self, sent):
        content = report_on(sent)
        sender = sender_of(sent)
        sent.round = 1
        sent.save()
        row = receive(content, sender)
        sent.refresh_from_db()
        assert (row.state, sent.status) == (STATE.PROCESSED, Status.ACCEPTED)
        assert not Suppression.objects.exists()

    def test_without_a_token_counts_by_message_id_and_recipient(self, sent):
        row = receive(report_on(sent), "bounces@bounces.example")
        sent.refresh_from_db()
        assert (row.state, row.is_verified, sent.status) == (
            STATE.PROCESSED, False, Status.BOUNCED,
        )  # fmt: skip

    def test_the_token_of_the_returned_headers_will_do(self, sent):
        original = f"Return-Path: <{sender_of(sent)}>\r\n\r\n".encode()
        row = receive(report_on(sent, original=original), "bounces@bounces.example")
        assert (row.is_verified, row.message) == (True, sent)

    def test_of_where_it_was_forwarded_is_known_by_the_token(self, sent):
        row = receive(report_on(sent, recipient="elsewhere@example.org"), sender_of(sent))
        assert row.message == sent
        assert Suppression.objects.get().address_key == "bob@example.net"
        assert sent.events.get().data["forwarded_to"] == "elsewhere@example.org"

    @pytest.mark.parametrize(
        ("actions", "status"),
        [
            (["delayed", "failed"], Status.BOUNCED),
            (["failed", "relayed"], Status.BOUNCED),
            (["failed", "delivered"], Status.DELIVERED),
            (["delivered", "failed"], Status.DELIVERED),
        ],
    )
    @pytest.mark.parametrize(
        ("names_ours", "is_signed"), [(True, True), (False, True), (True, False)]
    )
    def test_of_several_it_was_expanded_to_counts_what_became_of_the_whole(
        self, names_ours, is_signed, actions, status, sent
    ):
        content = report_on(sent, recipient="member0@example.org", status="5.1.1")
        begin, end = content.split(b"Final-Recipient:", 1)
        _, rest = end.split(b"\r\n\r\n", 1)
        ours = f"Original-Recipient: rfc822; {sent.recipient}\r\n" if names_ours else ""
        groups = [
            f"{ours}Final-Recipient: rfc822; member{n}@example.org\r\nAction: {action}\r\n"
            f"Status: {'2.0.0' if action in {'delivered', 'relayed'} else '5.1.1'}\r\n\r\n"
            for n, action in enumerate(actions)
        ]
        to = sender_of(sent) if is_signed else "bounces@bounces.example"
        row = receive(begin + "".join(groups).encode() + rest, to)
        sent.refresh_from_db()
        assert (sent.status, row.is_verified) == (status, is_signed)
        assert Suppression.objects.exists() is (status == Status.BOUNCED)


class TestThatNamesVeryMany:
    """A server may tell of all members of a list at once; ours may be the last."""

    def group(self, address, action="failed", said="550 5.1.1 No such mailbox"):
        return (
            f"Final-Recipient: rfc822; {address}\r\nAction: {action}\r\nStatus: {said[4:9]}\r\n"
            f"Diagnostic-Code: smtp; {said}\r\n\r\n"
        ).encode()

    def report(self, sent, groups):
        begin, end = report_on(sent).split(b"Final-Recipient:", 1)
        _, rest = end.split(b"\r\n\r\n", 1)
        return begin + b"".join(groups) + rest

    def others(self, count, **fields):
        return [self.group(f"member{n}@example.org", **fields) for n in range(count)]

    @pytest.mark.parametrize("is_signed", [True, False])
    def test_tells_of_the_last_one_what_it_says_of_it(self, is_signed, sent):
        full = self.group(sent.recipient, said="552 5.2.2 Mailbox full")
        row = receive(
            self.report(sent, [*self.others(2_500), full]),
            sender_of(sent) if is_signed else "bounces@bounces.example",
        )
        assert (row.state, row.is_verified, row.result["further"]) == (
            STATE.PROCESSED, is_signed, 2_401,
        )  # fmt: skip
        assert sent.events.get().reason == "mailbox_full"
        assert not Suppression.objects.exists()

    def test_is_named_by_the_gravest_of_all(self, sent):
        taken = self.others(150, action="delivered", said="250 2.0.0 Taken")
        row = receive(self.report(sent, [*taken, self.group(sent.recipient)]), sender_of(sent))
        assert row.kind == RawFeedback.Kind.BOUNCE

    def test_did_not_bounce_where_the_last_that_ours_stands_for_was_reached(self, sent):
        reached = self.group("last@example.org", action="delivered", said="250 2.0.0 Taken")
        receive(self.report(sent, [*self.others(150), reached]), sender_of(sent))
        sent.refresh_from_db()
        assert sent.status == Status.DELIVERED
        assert not Suppression.objects.exists()

    def test_and_is_too_long_goes_to_a_person_where_ours_is_not_met(self, sent, client, admin):
        content = self.report(sent, [*self.others(9_000), self.group(sent.recipient)])
        row = receive(content, sender_of(sent))
        sent.refresh_from_db()
        assert (row.state, row.message, sent.status) == (
            STATE.QUARANTINED, sent, Status.ACCEPTED,
        )  # fmt: skip
        assert "too long to be read to its end" in row.reason
        assert sent.recipient in row.reason
        client.force_login(admin)
        page = client.get(reverse("feedback:detail", args=[row.pk])).content.decode()
        assert "It is too long to be read to its end." in page

    def test_and_is_too_long_counts_where_ours_is_met(self, sent):
        row = receive(
            self.report(sent, [self.group(sent.recipient), *self.others(9_000)]), sender_of(sent)
        )
        assert (row.state, row.result["is_cut"]) == (STATE.PROCESSED, True)
        assert Suppression.objects.get().address_key == "bob@example.net"

    @pytest.mark.parametrize("names_in", ["text", "header"])
    def test_in_words_tells_of_the_last_one_what_it_says_of_it(self, names_in, sent):
        others = [f"member{n}@example.org" for n in range(150)]
        said = [f"<{one}>: 550 5.1.1 User unknown" for one in others]
        failed = ""
        if names_in == "header":
            failed = "X-Failed-Recipients: " + ",\n ".join([*others, sent.recipient]) + "\n"
            said = [f"Of them, {sent.recipient} said: 552 5.2.2 Mailbox full"]
        else:
            said.append(f"<{sent.recipient}>: 552 5.2.2 Mailbox full")
        content = (
            "From: MAILER-DAEMON@mx.example\nSubject: Undelivered Mail\n"
            + failed
            + "\n\n".join(["", "Could not be delivered:", *said])
        )
        receive(content.encode(), sender_of(sent))
        assert sent.events.get().reason == "mailbox_full"

    def test_complaint_counts_for_the_last_one(self, sent):
        content = complaint_about(sent, envelope_sender="x@y.example")
        ours = f"Original-Rcpt-To: <{sent.recipient}>".encode()
        others = b"".join(b"Original-Rcpt-To: <m%d@example.org>\n" % n for n in range(150))
        row = receive(content.replace(ours, others + ours), "abuse@bounces.example")
        assert (row.message, row.result["further"]) == (sent, 51)
        assert Suppression.objects.get().reason == "complaint"


class TestMailThatLeftAfterItsKeyWasGone:
    """It is signed by the key that is the first by then (`outbox.tokens`); its row still names the other."""

    @pytest.fixture(autouse=True)
    def _other_keys(self, settings, sent):
        settings.MAILOPS_TOKEN_KEYS = {"k3": "dGhpcmRrZXk=", "k2": "b3RoZXJrZXk="}
        assert sent.token_key_id == "k1"

    @pytest.mark.parametrize("signed_by", ["k1", "k2"])
    def test_bounces_are_known(self, sent, signed_by):
        address = tokens.envelope_sender(sent.public_id, sent.round, signed_by)
        row = receive(report_on(sent, original=b"\r\n", envelope_sender=address), address)
        assert (row.is_verified, row.message) == (True, sent)

    def test_its_link_still_lets_people_leave(self, sent, client):
        path = tokens.unsubscribe_url(sent.public_id, "k1").removeprefix(settings.MAILOPS_BASE_URL)
        assert client.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
        assert Suppression.objects.get().stream == sent.stream


class TestOtherReports:
    def test_a_delay_is_an_event_and_nothing_else(self, sent):
        content = report_on(sent, action=Action.DELAYED, status="4.4.1", diagnostic="")
        receive(content, sender_of(sent))
        sent.refresh_from_db()
        assert (events_of(sent), sent.status) == ([EventKind.DELAYED], Status.ACCEPTED)

    def test_a_delivery_notice_delivers(self, sent):
        content = report_on(sent, action=Action.DELIVERED, status="2.0.0", diagnostic="250 OK")
        receive(content, sender_of(sent))
        sent.refresh_from_db()
        assert sent.status == Status.DELIVERED

    def test_a_complaint_suppresses_everywhere(self, sent):
        row = receive(complaint_about(sent), sender_of(sent))
        sent.refresh_from_db()
        assert (row.kind, events_of(sent), sent.status) == (
            "complaint", [EventKind.COMPLAINED], Status.ACCEPTED,
        )  # fmt: skip
        assert Suppression.objects.get().reason == Suppression.Reason.COMPLAINT

    def test_a_complaint_about_an_earlier_round_suppresses_too_and_settles_nothing(self, sent):
        content, sender = complaint_about(sent), sender_of(sent)
        sent.round = sent.positive_from_round = 1
        sent.status = Status.UNCERTAIN
        sent.save()
        row = receive(content, sender)
        sent.refresh_from_db()
        assert (row.state, events_of(sent)) == (STATE.PROCESSED, [EventKind.COMPLAINED])
        assert sent.status == Status.UNCERTAIN
        assert Suppression.objects.get().reason == Suppression.Reason.COMPLAINT

    def test_a_complaint_is_known_by_the_unsubscribe_link_it_gives_back(self, sent):
        from mailops.outbox.tokens import unsubscribe_url

        url = unsubscribe_url(sent.public_id, "k1")
        content = complaint_about(
            sent,
            recipient="redacted@example.invalid",
            envelope_sender="x@y.example",
            original=f"List-Unsubscribe: <{url}>\r\n\r\n".encode(),
        )
        assert receive(content, "abuse@bounces.example").message == sent

    def test_an_unsubscribe_mail_suppresses_in_its_stream(self, sent):
        address = unsubscribe.make_mail_address(sent.public_id, "bounces.example", b"t" * 32)
        receive(b"Subject: unsubscribe\r\n\r\n", address)
        entry = Suppression.objects.get()
        assert (entry.reason, entry.stream) == (Suppression.Reason.UNSUBSCRIBE, sent.stream)
        assert events_of(sent) == [EventKind.UNSUBSCRIBED]

    def test_a_vacation_notice_is_no_bounce(self, sent):
        row = receive(b"Auto-Submitted: auto-replied\r\n\r\nAway", sender_of(sent))
        assert (row.state, row.kind, row.message) == (STATE.PROCESSED, "auto-reply", sent)
        assert events_of(sent) == []

    def test_what_it_can_not_read_is_left_to_a_person(self, sent):
        row = receive(b"Subject: Hello?\r\n\r\nWho are you?", sender_of(sent))
        assert (row.state, row.message) == (STATE.QUARANTINED, sent)


class TestForgeries:
    @pytest.fixture(autouse=True)
    def nothing_changes(self, sent):
        yield
        sent.refresh_from_db()
        assert sent.status == Status.ACCEPTED
        assert not Event.objects.exists()
        assert not Suppression.objects.exists()

    def quarantined(self, content, *recipients):
        row = receive(content, *recipients)
        assert (row.state, row.is_verified) == (STATE.QUARANTINED, False)
        assert row.reason
        return row

    def test_a_foreign_token_is_quarantined(self, sent):
        local_part = sender_of(sent).split("@")[0]
        forged = f"{local_part[:-3]}aaa@bounces.example"
        other = make_sent(recipient="eve@example.net")
        content = report_on(sent, envelope_sender=forged, original=b"\r\n\r\n")
        assert "not signed by us" in self.quarantined(content, forged).reason
        assert not other.events.exists()

    def test_a_message_id_with_another_recipient_is_quarantined(self, sent):
        content = report_on(sent, recipient="eve@example.net")
        self.quarantined(content, "bounces@bounces.example")

    def test_a_message_id_of_another_domain_is_quarantined(self, sent):
        original = headers_of(sent).replace(sent.identity.domain.name.encode(), b"evil.example")
        self.quarantined(report_on(sent, original=original), "bounces@bounces.example")

    def test_a_complaint_about_nobody_we_wrote_to_is_quarantined(self, sent):
        content = complaint_about(sent, recipient="eve@example.net", envelope_sender="x@y.example")
        self.quarantined(content, "abuse@bounces.example")

    def test_an_unsubscribe_mail_with_a_foreign_key_is_quarantined(self, sent):
        forged = unsubscribe.make_mail_address(sent.public_id, "bounces.example", b"e" * 32)
        self.quarantined(b"Subject: unsubscribe\r\n\r\n", forged)

    def test_a_key_that_is_gone_proves_nothing(self, sent, settings):
        content, sender = report_on(sent, original=b"\r\n"), sender_of(sent)
        settings.MAILOPS_TOKEN_KEYS = {"k2": "b3RoZXJrZXk="}
        self.quarantined(content, sender)


class TestAnswers:
    """A person answers a mail with one word, as people do."""

    def answer(self, message, sender):
        found = headers_of(message).decode().splitlines()[0].partition(": ")[2]
        return f"From: {sender}\r\nSubject: Unsubscribe\r\nIn-Reply-To: {found}\r\n\r\n".encode()

    def test_to_the_envelope_sender_leaves_the_stream(self, sent):
        row = receive(b"From: a@b.example\r\nSubject: unsubscribe\r\n\r\n", sender_of(sent))
        assert (row.state, row.is_verified) == (STATE.PROCESSED, True), row.reason
        assert Suppression.objects.get().stream == sent.stream

    def test_that_names_the_message_and_comes_from_its_recipient_leaves_it_too(self, sent):
        row = receive(self.answer(sent, f"Bob <{sent.recipient}>"), "news@bounces.example")
        assert (row.state, row.is_verified) == (STATE.PROCESSED, False), row.reason
        assert Suppression.objects.get().reason == Suppression.Reason.UNSUBSCRIBE

    def test_of_somebody_else_changes_nothing(self, sent):
        row = receive(self.answer(sent, "eve@example.net"), "news@bounces.example")
        assert row.state == STATE.QUARANTINED
        assert not Suppression.objects.exists()


class TestAskedForAgain:
    """A person took the entry off, and the recipient says once more that they want no more mail."""

    @pytest.fixture(params=["unsubscribe", "complaint"])
    def tell(self, request, sent):
        complaints = [complaint_about(sent, now=datetime(2026, 5, n, tzinfo=UTC)) for n in (1, 2)]

        def by_mail(number):
            if request.param == "complaint":
                return receive(complaints[number - 1], sender_of(sent))
            address = unsubscribe.make_mail_address(sent.public_id, "bounces.example", b"t" * 32)
            mail = f"Subject: unsubscribe\r\nMessage-ID: <{number}@example.net>\r\n\r\n"
            return receive(mail.encode(), address)

        return by_mail

    def test_is_suppressed_again_and_counted_once(self, tell, sent, operator):
        tell(1)
        first = Suppression.objects.get()
        unsuppress(suppression=first, reason="They asked to be back.", actor=operator)
        assert tell(2).state == STATE.PROCESSED
        entry = Suppression.objects.get()
        assert (entry.reason, entry.stream) == (first.reason, first.stream)
        assert entry.evidence_event_id == sent.events.latest("id").pk
        assert [one.was_applied for one in sent.events.order_by("id")] == [True, False]

    def test_a_replay_and_the_same_mail_once_more_change_nothing(self, tell, sent, operator):
        row = tell(1)
        unsuppress(
            suppression=Suppression.objects.get(), reason="They asked to be back.", actor=operator
        )
        replay(row=row, actor=operator)
        assert tell(1) == row
        assert not Suppression.objects.exists()
        assert sent.events.count() == 1

    def test_a_replay_of_what_was_recorded_by_another_name_changes_nothing(
        self, tell, sent, operator
    ):
        row = tell(1)
        sent.events.update(external_id="as an earlier version called it")
        unsuppress(
            suppression=Suppression.objects.get(), reason="They asked to be back.", actor=operator
        )
        replay(row=row, actor=operator)
        assert (row.state, row.message) == (STATE.PROCESSED, sent)
        assert not Suppression.objects.exists()
        assert sent.events.count() == 1


class TestTellingWithoutEnd:
    """Whoever got a message has its token, and could have any number of events made of it."""

    def test_comes_to_an_end(self, sent, monkeypatch):
        monkeypatch.setattr(processing, "MOST_TOLD", 3)
        for number in range(5):
            delay = report_on(sent, action=Action.DELAYED, status="4.2.2", diagnostic=f"{number}")
            receive(delay, sender_of(sent))
            row = receive(
                complaint_about(sent, now=datetime(2026, 5, 1 + number, tzinfo=UTC)),
                sender_of(sent),
            )
        assert events_of(sent).count("delayed") == events_of(sent).count("complained") == 3
        assert (row.state, row.reason) == (STATE.PROCESSED, processing.TOLD_OFTEN)
        receive(report_on(sent), sender_of(sent))
        sent.refresh_from_db()
        assert sent.status == Status.BOUNCED

    def test_comes_to_an_end_within_a_batch(self, sent, monkeypatch):
        monkeypatch.setattr(processing, "MOST_TOLD", 3)
        for number in range(5):
            delay = report_on(sent, action=Action.DELAYED, status="4.2.2", diagnostic=f"{number}")
            arrived(delay, sender_of(sent))
        work_on()
        assert events_of(sent) == ["delayed"] * 3

    def test_comes_to_an_end_within_a_mail(self, sent):
        delay = report_on(sent, action=Action.DELAYED, status="4.2.2", diagnostic="")
        begin, end = delay.split(b"Final-Recipient:", 1)
        group, rest = end.split(b"\r\n\r\n", 1)
        groups = b"".join(b"Final-Recipient:%b\r\n\r\n" % group for _ in range(100))
        receive(begin + groups + rest, "bounces@bounces.example")
        assert events_of(sent) == ["delayed"]

    def test_is_not_said_of_a_mail_that_counted_and_is_read_again(
        self, sent, monkeypatch, operator
    ):
        monkeypatch.setattr(processing, "MOST_TOLD", 1)
        delay = report_on(sent, action=Action.DELAYED, status="4.2.2")
        row = receive(delay, sender_of(sent))
        was = row.reason
        replay(row=row, actor=operator)
        row.refresh_from_db()
        assert row.reason == was != processing.TOLD_OFTEN
        assert events_of(sent) == ["delayed"]


class TestReplay:
    def test_changes_nothing_that_was_right(self, sent):
        row = receive(report_on(sent), sender_of(sent))
        Suppression.objects.all().delete()
        replay(row=row, actor=None)
        assert (row.state, events_of(sent)) == (STATE.PROCESSED, [EventKind.RETURNED])
        assert not Suppression.objects.exists()

    def test_reads_what_a_mended_parser_can_read(self, sent, monkeypatch):
        def broken(_):
            raise KeyError("a fault of ours")

        monkeypatch.setattr(processing, "read_mail", broken)
        row = receive(report_on(sent), sender_of(sent))
        assert row.state == STATE.FAILED
        monkeypatch.undo()
        replay(row=row, actor=None)
        assert row.state == STATE.PROCESSED


class TestBatches:
    def test_one_that_can_not_be_read_holds_up_no_other(self, db, monkeypatch):
        good, bad = make_sent(), make_sent()
        read_mail = processing.read_mail

        def fragile(row):
            if sender_of(bad) in row.envelope_recipients:
                raise KeyError("a fault of ours")
            return read_mail(row)

        monkeypatch.setattr(processing, "read_mail", fragile)
        for message in (bad, good):
            archive(
                source=RawFeedback.Source.MAIL,
                content=report_on(message),
                peer="",
                envelope_recipients=[sender_of(message)],
            )
        assert processing.process_pending() == 2
        assert processing.process_pending() == 0
        good.refresh_from_db()
        assert good.status == Status.BOUNCED
        assert RawFeedback.objects.filter(state=STATE.FAILED).count() == 1

    @pytest.fixture
    def deadly(self, db, monkeypatch):
        """A mail whose reading ends its process; gives its row."""
        read_mail = processing.read_mail

        def read(row):
            if b"deadly" in row.raw:
                raise Killed
            return read_mail(row)

        monkeypatch.setattr(processing, "read_mail", read)
        return arrived(b"Subject: deadly\r\n\r\n")

    def test_one_that_ends_its_process_is_given_up_and_the_others_are_read(self, sent, deadly):
        later = arrived(report_on(sent), sender_of(sent))
        lives = work_on()
        deadly.refresh_from_db()
        later.refresh_from_db()
        sent.refresh_from_db()
        assert lives == 1 + processing.MOST_UNFINISHED
        assert (deadly.state, deadly.reason) == (STATE.FAILED, processing.GIVEN_UP)
        assert (later.state, sent.status) == (STATE.PROCESSED, Status.BOUNCED)

    def test_one_that_was_in_hand_when_its_process_ended_is_none_the_worse(self, sent, deadly):
        earlier = [arrived(b"Subject: %d\r\n\r\n" % number) for number in range(5)]
        work_on()
        assert {one.state for one in RawFeedback.objects.exclude(pk=deadly.pk)} == {
            STATE.QUARANTINED
        }
        assert RawFeedback.objects.exclude(pk=deadly.pk).count() == len(earlier)
        assert not RawFeedback.objects.suspect().exists()

    def test_one_that_ended_its_process_holds_up_no_replay(self, sent, deadly):
        work_on()
        later = arrived(report_on(sent), sender_of(sent))
        lives = lives_of(lambda: list(replay_all(RawFeedback.objects.all())))
        later.refresh_from_db()
        deadly.refresh_from_db()
        assert lives == 1 + processing.MOST_UNFINISHED
        assert (deadly.state, later.state) == (STATE.FAILED, STATE.PROCESSED)

    @pytest.mark.django_db(transaction=True)
    def test_one_that_outlasts_the_servers_patience_is_given_up_and_the_others_are_read(
        self, sent, monkeypatch
    ):
        read_mail = processing.read_mail

        def read_slowly(row):
            if b"slow" in row.raw:
                with connection.cursor() as cursor:
                    cursor.execute("SET idle_in_transaction_session_timeout = '1ms'")
                hang_up = select.poll()
                hang_up.register(connection.connection.fileno(), select.POLLRDHUP)
                hang_up.poll()
            return read_mail(row)

        monkeypatch.setattr(processing, "read_mail", read_slowly)
        slow, later = arrived(b"Subject: slow\r\n\r\n"), arrived(report_on(sent), sender_of(sent))
        # a client that is slow itself may read the server's word together with the answer before it, as a mere notice
        while RawFeedback.objects.due().exists():
            with contextlib.suppress(Error):
                processing.process_pending()
        slow.refresh_from_db()
        later.refresh_from_db()
        assert (slow.state, slow.reason) == (STATE.FAILED, processing.GIVEN_UP)
        assert later.state == STATE.PROCESSED

    def test_one_that_was_given_up_can_be_replayed(self, deadly, monkeypatch):
        work_on()
        monkeypatch.undo()
        replay(row=deadly, actor=None)
        assert (deadly.state, deadly.unfinished) == (STATE.QUARANTINED, 0)

    def test_a_database_that_breaks_off_ends_no_process(self, sent, monkeypatch):
        def broken(_):
            raise OperationalError("deadlock detected")

        row = arrived(report_on(sent), sender_of(sent))
        with monkeypatch.context() as patched:
            patched.setattr(processing, "read_mail", broken)
            for _ in range(2 * processing.MOST_UNFINISHED):
                with pytest.raises(OperationalError):
                    processing.process_pending()
        processing.process_pending()
        row.refresh_from_db()
        assert row.state == STATE.PROCESSED

    def test_one_that_the_database_refuses_for_good_holds_up_no_other(self, sent, monkeypatch):
        read_mail = processing.read_mail

        def read(row):
            if b"too much" in row.raw:
                raise OperationalError from ConfigurationLimitExceeded()
            return read_mail(row)

        monkeypatch.setattr(processing, "read_mail", read)
        refused = arrived(b"Subject: too much\r\n\r\n")
        later = arrived(report_on(sent), sender_of(sent))
        work_on()
        refused.refresh_from_db()
        later.refresh_from_db()
        assert (refused.state, later.state) == (STATE.FAILED, STATE.PROCESSED)
        assert "mailops failed to read it (OperationalError)" in refused.reason

    def test_any_octets_are_kept_and_read(self, db):
        content = bytes(range(256)) * 40
        row = receive(content, "x\x00y@bounces.example")
        assert (row.raw, row.state) == (content, STATE.QUARANTINED)

    def test_their_queries_do_not_grow_with_what_is_archived(
        self, sent, django_assert_max_num_queries
    ):
        archive(
            source=RawFeedback.Source.MAIL,
            content=report_on(sent),
            peer="",
            envelope_recipients=[sender_of(sent)],
        )
        with django_assert_max_num_queries(35):
            processing.process_pending()
        assert connection.in_atomic_block  # the test's own
