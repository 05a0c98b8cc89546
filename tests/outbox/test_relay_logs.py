"""A relay's log settles what is uncertain: by Message-ID, for the right attempt, and only where it proves something."""

import gzip
import io
import smtplib
import tracemalloc
from datetime import UTC, datetime, timedelta, tzinfo
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models import ProtectedError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mailops.outbox import relay_log_reading, relay_log_taking, tokens
from mailops.outbox.bulk_settling import NothingToSettle, plan, settle_chunk, start_settlement
from mailops.outbox.doubtful import moment
from mailops.outbox.models import (
    Event,
    Message,
    RelayLog,
    RelayLogMail,
    RelayLogPiece,
    Settlement,
)
from mailops.outbox.relay_log_reading import Reading
from mailops.outbox.relay_log_taking import NotALog, forget_old, take_log
from mailops.outbox.relay_log_verdicts import account, settling
from mailops.outbox.retrying import retry_message
from mailops.suppressions.models import Suppression
from mailops.transports.configuring import StillNeeded, delete_transport
from mailops.transports.models import Route
from tests.factories import make_message, make_transport
from tests.outbox.doubts import doubt, make_doubtful
from tests.postfix import Postfix
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db
ACT = Settlement.Act


@pytest.fixture
def transport():
    return make_transport()


class Log:
    """Writes lines as Postfix does, at a time given in seconds from now."""

    def __init__(self, form="rfc3339"):
        self.lines, self._form, self._now = [], form, datetime.now(UTC)

    def add(self, process, text, at=0.0):
        at = self._now + timedelta(seconds=at)
        stamp = at.isoformat() if self._form == "rfc3339" else at.strftime("%b %e %H:%M:%S")
        self.lines.append(f"{stamp} relay postfix/{process}[1]: {text}")
        return self

    def taken(self, message, queue_id="AAAAAA1", at=0.0):
        self.begun(message, queue_id, at)
        sender = tokens.envelope_sender(message.public_id, message.round, message.token_key_id)
        return self.add("qmgr", f"{queue_id}: from=<{sender}>, size=9, nrcpt=1 (queue active)", at)

    def begun(self, message, queue_id="AAAAAA1", at=0.0):
        return self.add("cleanup", f"{queue_id}: message-id={message.message_id}", at)

    def told(
        self, message, status, text="250 ok", *, queue_id="AAAAAA1", at=1.0, dsn="2.0.0", to=""
    ):
        return self.add(
            "smtp",
            f"{queue_id}: to=<{to or message.recipient}>, relay=mx[192.0.2.9]:25, delay=1, "
            f"delays=0/0/0/1, dsn={dsn}, status={status} ({text})",
            at,
        )

    def removed(self, queue_id="AAAAAA1", at=1.0):
        return self.add("qmgr", f"{queue_id}: removed", at)

    def around(self, message):
        """Begin long before and end long after, with a mail of ours that is known, so that silence proves something."""
        before, after = Log(self._form), Log(self._form)
        before.taken(message, "AAAAAA0", at=-900).removed("AAAAAA0", at=-900)
        self.lines = before.lines + self.lines
        after.add("smtpd", "connect from localhost[127.0.0.1]", at=900)
        self.lines += after.lines
        return self

    def __bytes__(self):
        return "".join(f"{line}\n" for line in self.lines).encode()


@pytest.fixture
def read(operator, transport):
    """Return a function that takes a log in and reads all of it."""

    def take(log, *, name="mail.log", time_zone="UTC", lines=20_000, through=None, **more):
        taken = take_log(
            file=SimpleUploadedFile(name, bytes(log)),
            transport=through or transport,
            time_zone=time_zone,
            actor=operator,
            **more,
        )
        reading = Reading(taken.pk)
        while reading.read_chunk(lines):
            pass
        taken.refresh_from_db()
        return taken

    return take


@pytest.fixture
def apply(operator):
    """Return a function that does what a log says."""

    def act(log, kind=ACT.BY_LOG, **more):
        until, _ = moment()
        run = start_settlement(key=uuid4(), act=kind, actor=operator, until=until, log=log, **more)
        while settle_chunk(settlement_id=run.pk):
            pass
        run.refresh_from_db()
        return run

    return act


def kinds(message):
    return list(message.events.order_by("pk").values_list("kind", flat=True))


def verdicts(log):
    return {row.message_id: row.get_verdict_display() for row in log.findings.all()}


class TestVerdicts:
    @pytest.mark.parametrize("form", ["rfc3339", "traditional"])
    def test_sent_becomes_accepted(self, transport, read, apply, form):
        message = make_doubtful(transport=transport)
        log = read(Log(form).taken(message).told(message, "sent").removed())
        assert verdicts(log) == {message.pk: "Sent on"}
        run = apply(log)
        message.refresh_from_db()
        assert (message.status, message.transport_message_id) == ("accepted", "AAAAAA1")
        assert (run.settled, run.state) == (1, "completed")
        event = Event.objects.get(source="relay_log")
        assert (event.kind, event.data["by"]) == ("accepted", "operator@example.com")

    def test_bounced_becomes_bounced_with_its_cause_and_suppresses(self, transport, read, apply):
        message = make_doubtful(transport=transport, recipient="gone@example.net")
        said = "host mx[192.0.2.9] said: 550 5.1.1 No such user (in reply to RCPT TO command)"
        log = read(Log().taken(message).told(message, "bounced", said, dsn="5.1.1").removed())
        apply(log)
        message.refresh_from_db()
        assert (message.status, message.reason, message.reply_line) == (
            "bounced", "unknown_mailbox", "550 5.1.1 No such user",
        )  # fmt: skip
        assert Suppression.objects.get().address_key == "gone@example.net"
        assert kinds(message) == ["uncertain", "accepted", "returned"]

    def test_asks_no_more_of_the_database_the_more_mailboxes_are_gone(
        self, transport, read, operator
    ):
        said = "host mx[192.0.2.9] said: 550 5.1.1 No such user (in reply to RCPT TO command)"

        def asked(*recipients):
            lines = Log()
            for n, recipient in enumerate(recipients):
                message = make_doubtful(transport=transport, recipient=recipient)
                lines.taken(message, f"AAAAAA{n}")
                lines.told(message, "bounced", said, queue_id=f"AAAAAA{n}", dsn="5.1.1")
            until, _ = moment()
            run = start_settlement(
                key=uuid4(), act=ACT.BY_LOG, actor=operator, until=until, log=read(lines)
            )
            with CaptureQueriesContext(connection) as queries:
                settle_chunk(settlement_id=run.pk)
            return len(queries)

        of_one, of_three = asked("a@example.net"), asked(*(f"{n}@example.net" for n in "bcd"))
        assert of_three <= of_one + 1  # either may be the one that reads what was taught anew
        assert Suppression.objects.count() == 4

    def test_a_bounce_that_is_our_fault_suppresses_nobody(self, transport, read, apply):
        message = make_doubtful(transport=transport)
        said = "host mx[192.0.2.9] said: 550 5.7.1 Relaying denied (in reply to RCPT TO command)"
        apply(read(Log().taken(message).told(message, "bounced", said, dsn="5.7.1")))
        message.refresh_from_db()
        assert (message.status, Suppression.objects.exists()) == ("bounced", False)

    def test_deferred_is_in_the_relays_hands_so_accepted(self, transport, read, apply):
        message = make_doubtful(transport=transport)
        log = read(Log().taken(message).told(message, "deferred", "450 later", dsn="4.2.1"))
        assert verdicts(log) == {message.pk: "In the relay's queue"}
        apply(log)
        message.refresh_from_db()
        assert message.status == "accepted"

    def test_expired_becomes_bounced_with_the_last_reply(self, transport, read, apply):
        message = make_doubtful(transport=transport)
        lines = Log().taken(message)
        lines.told(message, "deferred", "host mx[1] said: 450 4.2.1 busy", dsn="4.2.1")
        lines.add("qmgr", "AAAAAA1: from=<a@b>, status=expired, returned to sender", 2)
        log = read(lines.removed())
        assert verdicts(log) == {message.pk: "Given up by the relay"}
        apply(log)
        message.refresh_from_db()
        assert (message.status, message.reply_text) == ("bounced", "4.2.1 busy")

    @pytest.mark.parametrize(
        ("said", "status"), [("Spam", "bounced"), ("rejected due to DMARC policy", "failed")]
    )
    def test_refused_content_becomes_bounced_or_failed(self, transport, read, apply, said, status):
        message = make_doubtful(transport=transport)
        lines = Log().begun(message)
        refusal = f"milter-reject: END-OF-MESSAGE from x[1]: 5.7.1 {said}; from=<a>"
        apply(read(lines.add("cleanup", f"AAAAAA1: {refusal}")))
        message.refresh_from_db()
        assert message.status == status
        assert kinds(message) == ["uncertain", status]  # it was never taken

    def test_deleted_by_hand_becomes_bounced(self, transport, read, apply):
        message = make_doubtful(transport=transport)
        apply(read(Log().taken(message).add("postsuper", "AAAAAA1: removed", 2)))
        message.refresh_from_db()
        assert (message.status, message.reply_line) == ("bounced", "")

    def test_taken_and_silent_is_accepted(self, transport, read, apply):
        message = make_doubtful(transport=transport)
        apply(read(Log().taken(message)))
        message.refresh_from_db()
        assert message.status == "accepted"

    def test_a_held_message_that_asks_is_settled_too(self, transport, read, apply):
        message = make_doubtful(transport=transport, guarantee="ask")
        apply(read(Log().taken(message).told(message, "sent")))
        message.refresh_from_db()
        assert message.status == "accepted"


class TestTraps:
    def test_a_queue_id_that_is_used_again_is_another_mail(self, transport, read):
        message = make_doubtful(transport=transport)
        log = Log().taken(message).removed(at=1)
        log.add("cleanup", "AAAAAA1: message-id=<x@other.example>", 2)
        log.told(message, "bounced", dsn="5.1.1", at=3)
        assert verdicts(read(log)) == {message.pk: "In the relay's queue"}

    def test_a_copy_to_the_archive_says_only_that_it_was_taken(self, transport, read):
        message = make_doubtful(transport=transport)
        log = Log().taken(message).told(message, "bounced", dsn="5.1.1", to="archive@x.example")
        assert verdicts(read(log)) == {message.pk: "In the relay's queue"}

    def test_a_copy_that_expires_leaves_ours_sent(self, transport, read):
        message = make_doubtful(transport=transport)
        log = Log().taken(message).told(message, "sent")
        log.told(message, "deferred", dsn="4.1.1", to="archive@x.example", at=2)
        log.add("qmgr", "AAAAAA1: from=<a@b>, status=expired, returned to sender", 3)
        assert verdicts(read(log)) == {message.pk: "Sent on"}

    def test_a_filter_in_between_is_followed_to_the_end(self, transport, read):
        message = make_doubtful(transport=transport)
        log = Log().taken(message).told(message, "sent", "250 queued as AAAAAA2").removed()
        log.taken(message, "AAAAAA2").told(
            message, "bounced", "550 no", queue_id="AAAAAA2", dsn="5.1.1"
        )
        assert verdicts(read(log)) == {message.pk: "Bounced"}

    def test_an_earlier_attempt_says_nothing_of_this_one(self, transport, read, apply, operator):
        message = make_doubtful(transport=transport)
        log = Log().taken(message, at=-3600).told(message, "bounced", dsn="5.1.1", at=-3599)
        log = read(log)
        assert verdicts(log) == {message.pk: "At another time"}
        assert not settling(log, trusts_recipients=True).exists()

    def test_its_envelope_sender_names_it_where_the_beginning_is_cut_off(self, transport, read):
        message = make_doubtful(transport=transport)
        log = Log().taken(message).told(message, "sent")
        log.lines.pop(0)
        assert verdicts(read(log)) == {message.pk: "Sent on"}

    def test_a_forged_envelope_sender_names_nobody(self, transport, read):
        message = make_doubtful(transport=transport)
        forged = f"b+{message.public_id.hex}.0.{'a' * 20}@bounces.example"
        log = Log().add("qmgr", f"AAAAAA1: from=<{forged}>, size=9, nrcpt=1 (queue active)")
        log.add("cleanup", "AAAAAA2: message-id=<x@y>")
        assert verdicts(read(log)) == {}

    def test_is_read_the_same_in_chunks_of_one_line(self, transport, read):
        message = make_doubtful(transport=transport)
        log = (
            Log().taken(message).told(message, "deferred", dsn="4.2.1").told(message, "sent", at=5)
        )
        taken = read(log.removed(), lines=1)
        assert (verdicts(taken), taken.lines) == ({message.pk: "Sent on"}, 5)
        assert not RelayLogMail.objects.exists()

    def test_the_wrong_zone_is_seen_and_settles_nothing(self, transport, read):
        message = make_doubtful(transport=transport)
        log = Log("traditional").taken(message).told(message, "sent").around(message)
        taken = read(log, time_zone="Asia/Tokyo")
        assert verdicts(taken) == {message.pk: "At another time"}
        assert plan(act=ACT.AGAIN, log=taken).chosen == 0


class Doubled(tzinfo):
    """A zone whose clocks showed each time an hour ago, and show it again now."""

    def utcoffset(self, at):
        return timedelta(hours=0 if at.fold else 1)

    def dst(self, _):
        return None


class TestTheHourThatClocksGoThroughTwice:
    @pytest.fixture(autouse=True)
    def doubled(self, monkeypatch):
        monkeypatch.setattr(relay_log_reading, "ZoneInfo", lambda _: Doubled())

    @pytest.mark.parametrize(("at", "verdict"), [(3600, "Sent on"), (0, "At another time")])
    def test_a_mail_that_is_named_came_in_the_first(self, transport, read, at, verdict):
        message = make_doubtful(transport=transport)
        log = Log("traditional").taken(message, at=at).told(message, "sent", at=at + 1)
        taken = read(log)
        assert verdicts(taken) == {message.pk: verdict}
        assert plan(act=ACT.AGAIN, log=taken).chosen == 0

    @pytest.mark.parametrize("at", [0, 3600])
    def test_a_recipient_alone_proves_nothing(self, transport, read, at):
        message = make_doubtful(transport=transport)
        assert verdicts(read(Log("traditional").told(message, "sent", at=at))) == {}

    @pytest.mark.parametrize(("begins", "may"), [(-900, 1), (1800, 0)])
    def test_silence_counts_from_the_second(self, transport, read, begins, may):
        make_doubtful(transport=transport)
        ours = make_message(with_entry=False, status="accepted", transport=transport)
        log = Log("traditional").taken(ours, at=begins).add("smtpd", "connect", at=3600 + 900)
        assert plan(act=ACT.AGAIN, log=read(log)).does == may


class TestByRecipient:
    def agents_only(self, message, *lines):
        log = Log()
        for status in lines:
            log.told(message, status, dsn="2.0.0" if status == "sent" else "5.1.1")
        return log

    def test_counts_only_where_a_person_trusts_it(self, transport, read, apply):
        message = make_doubtful(transport=transport)
        log = read(self.agents_only(message, "sent"))
        (row,) = account(log)
        assert (row.n, row.by_recipient) == (1, 1)
        assert not settling(log, trusts_recipients=False).exists()
        apply(log, trusts_recipients=True)
        message.refresh_from_db()
        assert message.status == "accepted"

    def test_two_that_could_be_meant_are_left(self, transport, read):
        one = make_doubtful(transport=transport, recipient="ann@example.net")
        make_doubtful(transport=transport, recipient="ann@example.net")
        assert verdicts(read(self.agents_only(one, "sent"))) == {}

    def test_a_log_that_names_mails_makes_no_guesses(self, transport, read):
        message = make_doubtful(transport=transport)
        log = self.agents_only(message, "sent")
        log.add("cleanup", "AAAAAA9: message-id=<x@other.example>")
        assert verdicts(read(log)) == {}


class TestNoTrace:
    @pytest.fixture
    def ours(self, transport):
        return make_message(with_entry=False, status="accepted", transport=transport)

    @pytest.fixture
    def missing(self, transport):
        return make_doubtful(transport=transport)

    def again(self, log):
        return plan(act=ACT.AGAIN, log=log).does

    def test_in_a_log_that_covers_its_time_may_be_sent_again(self, missing, ours, read, apply):
        log = read(Log().around(ours))
        assert self.again(log) == 1
        apply(log, ACT.AGAIN)
        missing.refresh_from_db()
        assert (missing.status, missing.round) == ("queued", 1)

    def test_what_broke_off_may_be_sent_again(self, missing, ours, read):
        assert self.again(read(Log().begun(missing).around(ours))) == 1

    def test_what_was_taken_may_not(self, missing, ours, read):
        assert self.again(read(Log().taken(missing).around(ours))) == 0

    def test_needs_a_log_that_covers_its_time(self, missing, ours, read):
        early = Log().taken(ours, "AAAAAA7")
        assert self.again(read(early)) == 0

    def test_needs_a_log_that_knows_mail_of_ours(self, missing, ours, read):
        log = Log().around(ours)
        log.lines = [line for line in log.lines if "message-id" not in line]
        assert self.again(read(log)) == 0

    def test_the_newest_log_speaks_up_to_now_though_the_relay_was_idle(self, missing, ours, read):
        log = Log().around(ours)
        log.lines.pop()
        Event.objects.update(occurred_at=timezone.now() - timedelta(minutes=6))
        assert self.again(read(log)) == 0
        assert self.again(read(log, is_current=True)) == 1

    @pytest.mark.parametrize("is_cut", [False, True])
    def test_proves_nothing_in_a_log_that_is_not_read_to_its_end(
        self, missing, ours, operator, apply, is_cut
    ):
        Event.objects.update(occurred_at=timezone.now() - timedelta(minutes=6))
        lines = bytes(Log().around(ours).taken(missing, at=-360))
        taken = take_log(
            file=SimpleUploadedFile("mail.log.gz", gzip.compress(lines)[: -8 if is_cut else None]),
            transport=missing.transport,
            time_zone="UTC",
            actor=operator,
            is_current=True,
        )
        reading = Reading(taken.pk)
        for _ in range(9 if is_cut else 4):  # all but what says that it was taken
            reading.read_chunk(1)
        taken.refresh_from_db()
        assert taken.state == ("failed" if is_cut else "running")
        assert self.again(taken) == 1  # nobody knows better yet
        with pytest.raises(NothingToSettle):
            apply(taken, ACT.AGAIN)

    def test_is_why_its_transport_stays(self, missing, ours, read, operator):
        log, elsewhere = read(Log().around(ours)), make_transport()
        until, _ = moment()
        start_settlement(key=uuid4(), act=ACT.AGAIN, actor=operator, until=until, log=log)
        for model in (Message, Event):
            model.objects.filter(transport=log.transport).update(transport=elsewhere)
        Route.objects.filter(transport=log.transport).delete()
        with pytest.raises(StillNeeded, match="is still worked with: “Send again: 1 messages”"):
            delete_transport(transport=log.transport, actor=operator)
        assert Settlement.objects.get().relay_log == log

    def test_is_asked_of_a_log_that_stays_until_it_is_answered(self, missing, ours, read, operator):
        log = read(Log().around(ours))
        other = make_doubtful()  # the log is of another relay
        until, _ = moment()
        run = start_settlement(key=uuid4(), act=ACT.AGAIN, actor=operator, until=until, log=log)
        with pytest.raises(ProtectedError):
            log.delete()
        while settle_chunk(settlement_id=run.pk):
            pass
        other.refresh_from_db()
        assert other.status == "uncertain"
        log.delete()
        run.refresh_from_db()
        assert (run.state, run.relay_log) == ("completed", None)

    def test_a_restored_database_knows_the_way_where_there_is_one_only(
        self, missing, ours, read, transport
    ):
        Message.objects.filter(pk=missing.pk).update(transport=None)
        assert self.again(read(Log().around(ours))) == 1
        Route.objects.create(stream=missing.stream, transport=make_transport(), position=1)
        assert self.again(read(Log().around(ours))) == 0

    def test_a_restored_database_knows_no_way_by_an_attempt_before_the_backup(
        self, ours, read, transport
    ):
        restored = make_doubtful(transport=transport, reason="restored")
        assert self.again(read(Log().around(ours))) == 1
        Route.objects.create(stream=restored.stream, transport=make_transport(), position=1)
        assert self.again(read(Log().around(ours))) == 0

    def test_needs_the_transport_it_went_through(self, missing, ours, read):
        assert self.again(read(Log().around(ours), through=make_transport())) == 0


class TestHostileFiles:
    def test_counts_what_it_does_not_understand_and_shows_some(self, transport, read):
        message = make_doubtful(transport=transport)
        log = Log().taken(message).told(message, "sent")
        nonsense = [b"\0\xff\xfe", b"x" * 300_000, "Ünsinn\u202e".encode(), b"<script>"] * 5
        taken = read(bytes(log) + b"\n".join(nonsense) + b"\nNov 21 01:02:03 h sshd[1]: hi\n\n")
        assert (taken.not_understood, taken.foreign, taken.lines) == (20, 1, 25)
        assert (len(taken.examples), taken.state) == (10, "completed")
        assert verdicts(taken) == {message.pk: "Sent on"}

    def test_gzip_is_unpacked_also_in_several_members(self, transport, read):
        message = make_doubtful(transport=transport)
        one, two = Log().taken(message), Log().told(message, "sent")
        log = read(gzip.compress(bytes(one)) + gzip.compress(bytes(two)), lines=1)
        assert verdicts(log) == {message.pk: "Sent on"}

    def test_a_cut_off_gzip_file_fails_and_settles_nothing(self, transport, read):
        message = make_doubtful(transport=transport)
        packed = gzip.compress(bytes(Log().taken(message).told(message, "sent")))
        log = read(packed[:-20])
        assert (log.state, log.findings.count()) == ("failed", 0)
        assert "cut off" in log.sentence

    def test_a_bomb_is_stopped_at_its_limit_in_flat_memory(self, read, monkeypatch):
        monkeypatch.setattr(relay_log_taking, "MAX_TEXT_BYTES", 30_000_000)
        bomb = gzip.compress(b"\n" + b"x" * 60_000_000)
        tracemalloc.start()
        log = read(bomb)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert log.state == "failed"
        assert "longer than" in log.sentence
        assert peak < 8_000_000

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"PK\x03\x04rest", "zip"),
            (b"BZh9rest", "bzip2"),
            (b"\x1f\x8bnonsense", "can't be unpacked"),
            (b"   \n\n", "not one line"),
            (b"\0" * 100, "no text"),
        ],
    )
    def test_what_is_no_log_is_refused_with_what_to_do(self, transport, operator, content, words):
        with pytest.raises(NotALog, match=words):
            take_log(file=io.BytesIO(content), transport=transport, time_zone="UTC", actor=operator)
        assert not RelayLog.objects.exists()


class TestForgetting:
    def test_the_file_is_gone_once_it_is_read_and_the_rest_after_a_week(
        self, transport, read, apply
    ):
        message = make_doubtful(transport=transport)
        log = read(Log().taken(message))
        assert not RelayLogPiece.objects.exists()
        run = apply(log)
        RelayLog.objects.update(created_at="2026-01-01T00:00Z")
        forget_old()
        run.refresh_from_db()
        assert (RelayLog.objects.count(), run.relay_log, run.settled) == (0, None, 1)


@pytest.mark.needs("postfix")
class TestRealRelay:
    """A real Postfix takes mail whose replies are lost to us; its own log settles them."""

    def test_settles_what_it_knows_and_finds_what_it_never_took(self, transport, read, apply):
        sent, gone, lost = (
            make_doubtful(transport=transport, recipient=f"{name}@example.net")
            for name in ("sent", "gone", "lost")
        )
        script = {"RCPT": ["250 ok", "550 5.1.1 No such user", "250 ok"]}
        with SmtpServer(script=script) as next_hop, Postfix(next_hop.port) as relay:
            for number, message in enumerate((sent, gone), 1):
                hand_over(relay, message)
                relay.log_with(b": removed", number)
            content = relay.log_with(b": removed", 3)
        log = read(gzip.compress(content), name="mail.log.1.gz")
        assert (log.not_understood, log.mails) == (0, 3)  # the third is Postfix's own report
        assert verdicts(log) == {sent.pk: "Sent on", gone.pk: "Bounced"}
        apply(log)
        statuses = dict(Message.objects.values_list("recipient", "status"))
        assert statuses == {
            "sent@example.net": "accepted",
            "gone@example.net": "bounced",
            "lost@example.net": "uncertain",
        }
        assert lost.pk not in verdicts(log)


def hand_over(relay, message):
    sender = tokens.envelope_sender(message.public_id, message.round, message.token_key_id)
    with smtplib.SMTP("127.0.0.1", relay.port) as session:
        session.sendmail(
            sender, [message.recipient], f"Message-ID: {message.message_id}\r\n\r\nHello\r\n"
        )


def test_a_second_doubt_is_not_settled_by_what_a_log_said_of_the_first(
    transport, read, apply, operator
):
    message = make_doubtful(transport=transport)
    log = read(Log().taken(message).told(message, "sent"))
    retry_message(message=message, actor=operator)
    doubt(message, transport)
    assert not settling(log, trusts_recipients=True).exists()
