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

    def test_refuses_lines_that_smtp_does_not_know(self, connect):
        client = connect()
        client.ehlo()
        for octets, code in ((999, 250), (1000, 500)):
            client.mail("a@b.example")
            client.rcpt("ada@example.net")
            assert client.data(b"x" * octets + b"\r\n")[0] == code

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


class TestNotifications:
    """What a client asks for with DSN (RFC 3461) is kept, and is all that it is told."""

    def ask(self, client, recipient, *parameters, mail=()):
        client.ehlo()
        assert client.has_extn("dsn")
        assert client.mail("b+1@bounces.example", mail)[0] == 250
        assert client.rcpt(recipient, parameters)[0] == 250
        assert client.data(CONTENT)[0] == 250
        return CapturedMessage.objects.get()

    def test_keeps_what_was_asked_for_with_its_case(self, connect):
        captured = self.ask(
            connect(),
            "later-bounce@example.net",
            "NOTIFY=FAILURE,DELAY",
            "ORCPT=rfc822;Later+2BBounce@example.net",
            mail=["RET=HDRS", "ENVID=aB.0.c", "SIZE=10"],
        )
        assert (captured.envid, captured.orcpt, captured.notify) == (
            "aB.0.c", "rfc822;Later+Bounce@example.net", "DELAY,FAILURE",
        )  # fmt: skip
        assert Reaction.objects.get().kind == "bounce"

    @pytest.mark.parametrize("notify", ["NEVER", "DELAY", "SUCCESS"])
    def test_sends_no_bounce_to_who_wants_none(self, connect, notify):
        self.ask(connect(), "later-bounce@example.net", f"NOTIFY={notify}")
        assert not Reaction.objects.exists()

    def test_never_stops_no_complaint(self, connect):
        self.ask(connect(), "complain@example.net", "NOTIFY=NEVER")
        assert Reaction.objects.get().kind == "complaint"

    def test_tells_of_success_who_wants_it(self, connect):
        self.ask(connect(), "ada@example.net", "NOTIFY=SUCCESS,FAILURE")
        assert Reaction.objects.get().kind == "delivery"

    def test_each_recipient_is_asked_for_by_itself(self, connect):
        client = connect()
        client.ehlo()
        client.mail("a@b.example")
        client.rcpt("later-bounce1@example.net", ["NOTIFY=NEVER"])
        client.rcpt("bounce@example.net", ["NOTIFY=SUCCESS"])  # refused
        client.rcpt("later-bounce2@example.net")
        client.data(CONTENT)
        assert Reaction.objects.get().captured.recipient == "later-bounce2@example.net"

    def test_forgets_it_with_the_envelope(self, connect):
        client = connect()
        client.ehlo()
        client.mail("a@b.example", ["ENVID=first"])
        client.rset()
        assert self.ask(client, "ada@example.net").envid == ""

    def test_a_second_mail_command_changes_nothing(self, connect):
        client = connect()
        client.ehlo()
        client.mail("a@b.example", ["ENVID=first"])
        assert client.mail("a@b.example", ["ENVID=second"])[0] == 503
        client.rcpt("ada@example.net")
        client.data(CONTENT)
        assert CapturedMessage.objects.get().envid == "first"

    @pytest.mark.parametrize(
        ("mail", "rcpt"),
        [
            (["RET=ALL"], []),
            (["ENVID=a+0Ab"], []),
            ([], ["NOTIFY=NEVER,FAILURE"]),
            ([], ["ORCPT=x"]),
        ],
    )
    def test_what_breaks_the_rfc_is_refused(self, connect, mail, rcpt):
        client = connect()
        client.ehlo()
        answers = [client.mail("a@b.example", mail), client.rcpt("ada@example.net", rcpt)]
        assert (501, b"5.5.4") in [(code, text[:5]) for code, text in answers]

    def test_a_long_address_fits(self, connect):
        address = f"{'a' * 64}@{'b' * 60}.{'c' * 60}.example"
        captured = self.ask(connect(), address, f"ORCPT=rfc822;{address.replace('a', '+61')}")
        assert captured.orcpt == f"rfc822;{address}"


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
