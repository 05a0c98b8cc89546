import json
import smtplib
import socket
import threading
from datetime import timedelta

import pytest
from django.db import InterfaceError, OperationalError

from mailops.sandbox.models import CapturedMessage, Inbox, Reaction
from mailops.sandbox.receiving import Ledger
from mailops.sandbox.storing import store

CONTENT = (
    b"From: =?utf-8?q?Ad=C3=A0?= <ada@news.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Message-ID: <one@news.example>\r\n\r\nHello\r\n"
)


def send(client, recipient, content=CONTENT, sender="b+1@bounces.example"):
    client.sendmail(sender, [recipient], content)


def refused(client, recipient, content=CONTENT):
    with pytest.raises((smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError)) as error:
        send(client, recipient, content)
    if isinstance(error.value, smtplib.SMTPRecipientsRefused):
        return error.value.recipients[recipient]
    return error.value.smtp_code, error.value.smtp_error


class TestReceiver:
    def test_keeps_a_message_in_the_inbox_of_its_domain(self, connect):
        send(connect(), "Ada@Example.net")
        captured = CapturedMessage.objects.get()
        assert (captured.inbox.kind, captured.inbox.name) == ("domain", "example.net")
        assert captured.recipient == "Ada@Example.net"
        assert captured.envelope_sender == "b+1@bounces.example"
        assert captured.subject == "Grüße"
        assert captured.header_from == "Adà <ada@news.example>"
        assert captured.message_id == "<one@news.example>"
        assert captured.content == CONTENT

    def test_keeps_a_message_in_the_inbox_of_its_tag(self, connect):
        send(connect(), "ada+login@example.net")
        assert str(Inbox.objects.get()) == "+login"

    def test_keeps_one_for_each_recipient(self, connect):
        connect().sendmail("a@b.example", ["x@one.example", "y@two.example"], CONTENT)
        assert CapturedMessage.objects.count() == 2

    def test_keeps_what_comes_from_the_null_sender(self, connect):
        send(connect(), "ada@example.net", sender="<>")
        assert CapturedMessage.objects.get().envelope_sender == ""

    def test_keeps_headers_nobody_can_read(self, connect):
        content = b"Subject: =?x-none?q?=FF?= \xff\0\r\nFrom: \xfe\r\n\r\n"
        send(connect(), "ada@example.net", content)
        assert CapturedMessage.objects.get().content == content

    def test_has_stored_the_message_before_it_says_250(self, connect):
        client = connect()
        for n in range(1, 20):
            send(client, "ada@example.net")
            assert CapturedMessage.objects.count() == n

    def test_offers_pipelining_and_honors_it(self, connect):
        client = connect()
        client.ehlo()
        assert client.has_extn("pipelining")
        client.sock.sendall(
            b"MAIL FROM:<a@b.example>\r\nRCPT TO:<bounce@x.example>\r\n"
            b"RCPT TO:<c@x.example>\r\nDATA\r\n"
        )
        assert [client.getreply()[0] for _ in range(4)] == [250, 550, 250, 354]
        client.sock.sendall(CONTENT + b".\r\nMAIL FROM:<a@b.example>\r\n")
        assert [client.getreply()[0] for _ in range(2)] == [250, 250]

    def test_says_451_when_the_database_is_away(self, connect):
        def away(batch):
            raise OperationalError("gone")

        assert refused(connect(store=away), "ada@example.net")[0] == 451

    @pytest.mark.parametrize("error", [InterfaceError("gone"), KeyError("ours"), MemoryError()])
    def test_answers_451_whatever_fails_and_the_receiver_goes_on(self, connect, caplog, error):
        failing = [error]

        def fragile(batch):
            if failing:
                raise failing.pop()
            store(batch, reaction_delay=timedelta(0))

        client = connect(store=fragile)
        assert refused(client, "ada@example.net")[0] == 451
        assert "told to come back" in caplog.text
        send(client, "ada@example.net")
        assert CapturedMessage.objects.count() == 1

    def test_is_not_held_up_by_a_message_without_headers(self, connect):
        send(connect(), "ada@example.net", b"x: y\r\n" * 1_000_000)
        assert CapturedMessage.objects.count() == 1

    def test_keeps_a_message_whose_inbox_was_deleted_meanwhile(self, connect):
        client = connect()
        send(client, "ada@example.net")
        Inbox.objects.all().delete()
        send(client, "ada@example.net")
        assert CapturedMessage.objects.count() == 1

    def test_lets_nobody_log_in_unless_told(self, connect):
        client = connect()
        client.ehlo()
        assert not client.has_extn("auth")

    @pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
    def test_lets_anybody_log_in_when_told(self, connect, mechanism):
        client = connect(any_login=True)
        client.ehlo()
        assert mechanism in client.esmtp_features["auth"]
        client.user, client.password = "who", "ever"
        code, _ = client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
        assert code == 235


class TestSimulator:
    def test_bounce_refuses_the_recipient_for_good(self, connect):
        code, text = refused(connect(), "bounce3@example.net")
        assert (code, text[:5]) == (550, b"5.1.1")

    def test_full_refuses_the_recipient_each_time(self, connect):
        client = connect()
        for _ in range(4):
            code, text = refused(client, "full@example.net")
            assert (code, text[:5]) == (452, b"4.2.2")

    def test_policy_refuses_the_message_after_the_dot(self, connect):
        code, text = refused(connect(), "policy@example.net")
        assert (code, text[:5]) == (550, b"5.7.1")
        assert not CapturedMessage.objects.exists()

    def test_defer_refuses_each_message_twice_and_then_takes_it(self, connect):
        client = connect()
        for message_id in (b"<one@x>", b"<two@x>"):
            content = b"Message-ID: " + message_id + b"\r\n\r\n"
            codes = [refused(client, "defer1@example.net", content)[0] for _ in range(2)]
            assert codes == [451, 451]
            send(client, "defer1@example.net", content)
        assert CapturedMessage.objects.count() == 2

    def test_drop_takes_the_body_and_says_nothing(self, connect):
        with pytest.raises(smtplib.SMTPServerDisconnected):
            send(connect(), "drop@example.net")
        assert not CapturedMessage.objects.exists()

    def test_slow_makes_nobody_else_wait(self, connect):
        slow = connect(slow_seconds=1.5)
        quick = smtplib.SMTP("127.0.0.1", slow.sock.getpeername()[1], timeout=5)
        thread = threading.Thread(target=send, args=(slow, "slow@example.net"))
        thread.start()
        send(quick, "ada@example.net")
        assert thread.is_alive()
        thread.join()
        quick.close()

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("later-bounce", "bounce"), ("complain", "complaint"), ("unsubscribe", "unsubscribe")],
    )
    def test_leaves_a_reaction_for_later(self, connect, name, kind):
        send(connect(), f"{name}+1@example.net")
        assert Reaction.objects.get().kind == kind


class TestLedger:
    def test_has_a_line_for_each_250_before_it_is_said(self, connect, tmp_path):
        path = tmp_path / "taken.log"
        ledger = Ledger(path)
        client = connect(store=ledger.write)
        send(client, "ada@example.net")
        line = json.loads(path.read_text())
        assert line["message_id"] == "<one@news.example>"
        assert line["recipient"] == "ada@example.net"
        assert line["session"]
        ledger.close()


class TestStop:
    def test_closes_what_is_open(self, connect):
        client = connect()
        assert isinstance(client.sock, socket.socket)  # the fixture asserts that the receiver ends
