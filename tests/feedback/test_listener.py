"""The return-path host's server takes reports over real SMTP, stores them before its 250, and relays nothing."""

import asyncio
import os
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from email import message_from_bytes
from email.policy import SMTP as SMTP_POLICY

import pytest
from django.db import InterfaceError, OperationalError, connection, transaction

from mailops.dispatch.carriers import usable_carriers
from mailops.dispatch.claiming import Claimer
from mailops.dispatch.models import Worker
from mailops.dispatch.preparing import Way, prepare
from mailops.feedback import listening
from mailops.feedback.allowance import Shares
from mailops.feedback.models import RawFeedback
from mailops.feedback.processing import process_pending
from mailops.lib import smtp_listener
from mailops.lib.smtp_room import Limits
from mailops.outbox.models import Event, EventKind, Status
from mailops.protocol import unsubscribe
from mailops.sandbox.models import CapturedMessage
from mailops.suppressions.models import Suppression
from tests.engine import database_url
from tests.factories import make_message, make_transport
from tests.feedback.conftest import make_sent, report_on, sender_of

HOST = "bounces.mailops.localhost"


@pytest.fixture
def listener(transactional_db):
    """A running server; gives its port."""
    loop, started, found = asyncio.new_event_loop(), threading.Event(), {}
    stop = asyncio.Event()

    def ready(port):
        found["port"] = port
        started.set()

    def run():
        loop.run_until_complete(listening.serve(host="127.0.0.1", port=0, stop=stop, ready=ready))

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10)
    yield found["port"]
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)
    assert not thread.is_alive()
    loop.close()


@pytest.fixture
def smtp(listener):
    with smtplib.SMTP("127.0.0.1", listener, timeout=10) as client:
        yield client


@pytest.fixture
def narrow(monkeypatch):
    """Let the server have room for little, in sessions and in octets; name it before `listener`."""
    limits = Limits(sessions=2, sessions_each=1, octets=20_000, octets_each=5_000)
    monkeypatch.setattr(listening, "LIMITS", limits)
    monkeypatch.setattr(listening, "SIZE_LIMIT", 10_000)


@pytest.fixture
def thrifty(monkeypatch):
    """Let the server keep little of a day; name it before `listener`."""
    shares = Shares(signed=9_000, sender=9_000, strangers=15_000)
    monkeypatch.setattr(listening, "SHARES", shares)


def beginning(port):
    """Return a connection that has said DATA, and a file of the answers that follow."""
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    answers = client.makefile("rb")
    recipient = f"RCPT TO:<postmaster@{HOST}>".encode()
    answers.readline()
    for command in (b"HELO x", b"MAIL FROM:<>", recipient, b"DATA"):
        client.sendall(command + b"\r\n")
        answer = answers.readline()
    assert answer.startswith(b"354")
    return client, answers


class TestReports:
    def test_come_back_over_smtp_and_settle_their_message(self, smtp):
        sent = make_sent()
        smtp.sendmail("", [sender_of(sent)], report_on(sent))
        assert RawFeedback.objects.get().state == RawFeedback.State.PENDING
        process_pending()
        sent.refresh_from_db()
        row = RawFeedback.objects.get()
        assert (sent.status, row.message, row.is_verified) == (Status.BOUNCED, sent, True)
        assert Suppression.objects.get().address_key == "bob@example.net"

    def test_keep_every_octet(self, smtp):
        content = b"Subject: x\r\n\r\n..leading dots\r\n\xff\x00bytes\r\n"
        smtp.ehlo()
        smtp.mail("")
        smtp.rcpt(f"postmaster@{HOST}")
        smtp.data(content)
        row = RawFeedback.objects.get()
        assert row.raw == content
        assert (row.headers, row.envelope_sender) == ({"subject": "x"}, "")

    def test_with_overlong_lines_are_taken(self, smtp):
        sent = make_sent()
        content = report_on(sent) + b"x" * 200_000 + b"\r\n"
        assert smtp.sendmail("", [sender_of(sent)], content) == {}

    def test_to_a_transports_own_return_path_host_are_taken(self, smtp):
        make_transport(return_path_host="Back.Example")
        smtp.ehlo()
        smtp.mail("")
        assert smtp.rcpt("anything@back.example")[0] == 250

    def test_to_a_host_that_was_ours_are_taken_where_they_bear_our_signature(self, smtp):
        transport = make_transport(return_path_host="back.example")
        sent = make_sent(transport=transport)
        token, _, _ = sender_of(sent).partition("@")
        leave = unsubscribe.make_mail_address(sent.public_id, "back.example", b"t" * 32)
        transport.return_path_host = "new.example"
        transport.save()
        smtp.ehlo()
        smtp.mail("")
        assert smtp.rcpt("anything@back.example")[0] == 550
        assert smtp.rcpt(f"{token[:-4]}aaaa@back.example")[0] == 550
        assert smtp.rcpt(leave)[0] == 250
        assert smtp.rcpt(f"{token}@back.example")[0] == 250
        smtp.data(report_on(sent))
        process_pending()
        sent.refresh_from_db()
        assert sent.status == Status.BOUNCED

    @pytest.mark.parametrize("name", [b"m\xfcller-pc", b"a\0b", b"x" * 300])
    def test_of_a_server_whose_name_is_no_text_are_taken(self, name, listener):
        with socket.create_connection(("127.0.0.1", listener), timeout=10) as client:
            mail = f"MAIL FROM:<>\r\nRCPT TO:<a@{HOST}>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"
            client.sendall(b"EHLO " + name + b"\r\n" + mail.encode())
            answers = client.makefile("rb").read()
        assert b"250 2.0.0 OK: stored" in answers
        assert RawFeedback.objects.get().peer

    def test_come_with_their_commands_in_one_piece(self, listener):
        mail = f"MAIL FROM:<>\r\nRCPT TO:<a@{HOST}>\r\nDATA\r\n".encode()
        with socket.create_connection(("127.0.0.1", listener), timeout=10) as client:
            client.sendall(
                b"HELO x\r\n" + mail + b".\r\n" + mail + b"a\n.\n\r\n..b\r\n.\r\nQUIT\r\n"
            )
            codes = [line[:3] for line in client.makefile("rb")]
        taken = [b"250", b"250", b"354", b"250"]
        assert codes == [b"220", b"250", *taken, *taken, b"221"]
        assert {row.raw for row in RawFeedback.objects.all()} == {b"", b"a\n.\n\r\n.b\r\n"}


class TestUnsubscribing:
    """The mailto address of List-Unsubscribe (RFC 2369), from the mail that is sent to the mail that comes back."""

    @pytest.fixture
    def address(self, settings, smtp):
        settings.MAILOPS_RETURN_PATH_HOST = "bounces.acme.example"
        mailto, _, url = list_unsubscribe_of(make_message()).partition(", ")
        assert url.startswith("<http")
        assert mailto.endswith("@bounces.acme.example?subject=unsubscribe>")
        return mailto.removeprefix("<mailto:").partition("?")[0]

    def test_by_mail_stops_the_stream(self, smtp, address):
        smtp.sendmail("bob@example.net", [address], b"Subject: unsubscribe\r\n\r\n")
        process_pending()
        event = Event.objects.get()
        entry = Suppression.objects.get()
        assert (event.kind, event.data["way"]) == (EventKind.UNSUBSCRIBED, "mail")
        assert (entry.reason, entry.stream) == ("unsubscribe", event.message.stream)
        assert RawFeedback.objects.get().is_verified

    def test_with_a_forged_token_is_archived_and_stops_nothing(self, smtp, address):
        local_part, _, host = address.partition("@")
        forged = f"{local_part[:-4]}{'aaaa' if local_part[-4:] != 'aaaa' else 'bbbb'}@{host}"
        smtp.sendmail("eve@example.net", [forged], b"Subject: unsubscribe\r\n\r\n")
        process_pending()
        assert RawFeedback.objects.get().is_quarantined
        assert not Event.objects.exists()
        assert not Suppression.objects.exists()

    def test_is_not_offered_where_no_mail_can_come(self, transactional_db, settings):
        settings.MAILOPS_RETURN_PATH_HOST = "bounces.mailops.localhost"
        assert "mailto" not in list_unsubscribe_of(make_message())


def list_unsubscribe_of(message):
    """Return the header field that the dispatcher puts into `message`."""
    (carrier,) = usable_carriers("bulk")
    worker = Worker.objects.create(lane="bulk", host="test", pid=1)
    (job,) = Claimer(worker.pk).claim(carrier, 10)
    content = prepare(job, message.version, Way("")).content
    fields = message_from_bytes(content, policy=SMTP_POLICY)
    assert fields["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    return " ".join(fields["List-Unsubscribe"].split())


class TestRefusals:
    @pytest.mark.parametrize(
        "address", ["bob@example.com", f"bob@{HOST}.example", "bob@sub." + HOST, "postmaster"]
    )
    def test_nothing_is_relayed(self, smtp, address):
        smtp.ehlo()
        smtp.mail("")
        code, text = smtp.rcpt(address)
        assert code == 550
        assert text.startswith(b"5.7.1")

    def test_too_big_a_mail_is_refused_and_not_stored(self, smtp, monkeypatch):
        smtp.ehlo()
        smtp.mail("")
        smtp.rcpt(f"postmaster@{HOST}")
        code, _ = smtp.data(b"x" * 78 + b"\r\n" + (b"y" * 78 + b"\r\n") * 135_000)
        assert code == 552
        assert not RawFeedback.objects.exists()

    def test_a_database_away_is_a_reason_to_come_back(self, smtp, monkeypatch):
        def away(**_):
            raise OperationalError("the connection is closed")

        smtp.ehlo()
        smtp.mail("")
        smtp.rcpt(f"postmaster@{HOST}")
        monkeypatch.setattr(listening, "archive", away)
        assert smtp.data(b"Subject: x\r\n\r\n")[0] == 451

    @pytest.mark.parametrize(
        "error",
        [InterfaceError("the connection is closed"), KeyError("a fault of ours"), OSError()],
    )
    def test_any_failure_is_a_reason_to_come_back_and_the_session_goes_on(
        self, smtp, monkeypatch, caplog, error
    ):
        def failing(**_):
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(listening, "archive", failing)
            smtp.ehlo()
            smtp.mail("")
            smtp.rcpt(f"postmaster@{HOST}")
            assert smtp.data(b"Subject: x\r\n\r\n")[0] == 451
        assert "told to come back" in caplog.text
        assert smtp.mail("")[0] == 250
        smtp.rcpt(f"postmaster@{HOST}")
        assert smtp.data(b"Subject: x\r\n\r\n")[0] == 250
        assert RawFeedback.objects.count() == 1

    def test_a_failure_at_the_recipient_is_a_reason_to_come_back(self, smtp, monkeypatch):
        def failing():
            raise KeyError("a fault of ours")

        monkeypatch.setattr(listening, "return_path_hosts", failing)
        smtp.ehlo()
        smtp.mail("")
        assert smtp.rcpt(f"postmaster@{HOST}")[0] == 451

    def test_a_host_in_no_encoding_is_refused(self, listener):
        with socket.create_connection(("127.0.0.1", listener), timeout=10) as raw:
            answers = raw.makefile("rb")
            answers.readline()
            for command in (b"HELO x", b"MAIL FROM:<a@b.example>", b"RCPT TO:<a@\xff\xfe.example>"):
                raw.sendall(command + b"\r\n")
                answer = answers.readline()
            assert answer.startswith(b"55")

    def test_more_sessions_than_it_can_serve_are_told_to_come_back(self, monkeypatch, request):
        limits = Limits(sessions=1, sessions_each=9, octets=1, octets_each=1)
        monkeypatch.setattr(listening, "LIMITS", limits)
        listener = request.getfixturevalue("listener")
        with smtplib.SMTP("127.0.0.1", listener, timeout=10) as first:
            with socket.create_connection(("127.0.0.1", listener), timeout=10) as second:
                assert second.recv(100).startswith(b"421 4.7.0")
            assert first.noop()[0] == 250

    def test_one_address_leaves_room_for_others(self, narrow, listener):
        with smtplib.SMTP("127.0.0.1", listener, timeout=10) as first:
            with socket.create_connection(("127.0.0.1", listener), timeout=10) as second:
                assert second.recv(100).startswith(b"421 4.7.0")
            with socket.create_connection(
                ("127.0.0.1", listener), timeout=10, source_address=("127.0.0.2", 0)
            ) as other:
                assert other.recv(100).startswith(b"220")
            assert first.noop()[0] == 250

    def test_more_than_there_is_room_for_is_a_reason_to_come_back(self, narrow, listener):
        client, answers = beginning(listener)
        with closing(client):
            client.sendall(b"x" * 6_000 + b"\r\n.\r\nMAIL FROM:<>\r\n")
            assert answers.readline().startswith(b"452 4.3.1")
            client.sendall(f"RCPT TO:<postmaster@{HOST}>\r\nDATA\r\n".encode())
            client.sendall(b"x" * 4_000 + b"\r\n.\r\n")
            assert [answers.readline()[:3] for _ in range(4)] == [b"250", b"250", b"354", b"250"]

    def test_strangers_leave_no_more_in_a_day_than_their_share(self, thrifty, listener, caplog):
        address = sender_of(make_sent())

        def told(recipient, peer):
            with smtplib.SMTP(
                "127.0.0.1", listener, timeout=10, source_address=(peer, 0)
            ) as client:
                client.ehlo()
                client.mail("")
                client.rcpt(recipient)
                return client.data(os.urandom(2500).hex().encode())[0]

        strangers = [
            ("dmarc", "127.0.0.1"),
            ("x", "127.0.0.1"),
            ("x", "127.0.0.2"),
            ("y", "127.0.0.3"),
        ]
        answers = [told(f"{name}@{HOST}", peer) for name, peer in strangers]
        assert answers == [250, 452, 250, 452]
        assert [told(address, "127.0.0.1") for _ in range(2)] == [250, 452]
        assert RawFeedback.objects.count() == 3
        assert caplog.text.count("More mail came to the return-path host") == 1

    def test_a_mail_without_an_end_is_hung_up_on(self, narrow, listener):
        client, answers = beginning(listener)
        with closing(client):
            client.sendall(b"x" * (smtp_listener.PATIENCE * 10_000 + 1))
            assert answers.read().startswith(b"552 5.3.4")

    def test_a_mail_that_takes_too_long_is_hung_up_on(self, listener, monkeypatch):
        monkeypatch.setattr(smtp_listener, "DATA_SECONDS", 0.01)
        client, answers = beginning(listener)
        with closing(client):
            assert answers.read().startswith(b"421 4.4.2")

    def test_a_line_beyond_any_is_refused(self, smtp, monkeypatch):
        smtp.ehlo()
        smtp.mail("")
        smtp.rcpt(f"postmaster@{HOST}")
        assert smtp.data(b"x" * listening.LINE_LIMIT + b"\r\n")[0] == 500

    def test_garbage_gets_an_answer(self, listener):
        with socket.create_connection(("127.0.0.1", listener), timeout=10) as raw:
            raw.recv(1000)
            raw.sendall(b"\xff\xfe\x00nonsense\r\n")
            assert raw.recv(1000).startswith(b"5")


# It ends within the supervisor's four seconds, and what hangs would do so for much longer; this machine may be busy.
PATIENCE = 15


@pytest.mark.whole
class TestStop:
    """Both listeners are gone within 4 s of SIGTERM, whatever their clients and the database do."""

    @pytest.fixture(params=["feedback_listener", "sandbox_listener"])
    def listener(self, request, transactional_db, tmp_path):
        arguments = {
            "feedback_listener": ["--port", "0"],
            "sandbox_listener": ["--listen", "127.0.0.1:0", "--slow-seconds", "60"],
        }
        process = subprocess.Popen(
            [sys.executable, "manage.py", request.param, *arguments[request.param]],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "DATABASE_URL": database_url(), "PYTHONUNBUFFERED": "1"},
        )
        try:
            yield process, int(process.stdout.readline().rpartition(":")[2])
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def stopped(self, process):
        """Send SIGTERM and return how long the process lived on."""
        since = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        return time.monotonic() - since

    def talk(self, port, *lines):
        """Say `lines` without reading an answer."""
        client = socket.create_connection(("127.0.0.1", port), timeout=10)
        client.recv(1000)
        client.sendall(b"".join(line + b"\r\n" for line in lines))
        return client

    def test_with_nobody_there(self, listener):
        process, _ = listener
        assert self.stopped(process) < PATIENCE

    def test_with_clients_that_hang(self, listener):
        process, port = listener
        envelope = b"EHLO x", b"MAIL FROM:<a@b.example>", f"RCPT TO:<slow@{HOST}>".encode(), b"DATA"
        with ExitStack() as open_clients:
            for lines in [
                (),
                envelope[:2],
                (*envelope, b"half a mail"),
                (*envelope, b"x" * 300_000),
                (*envelope, b"slow", b"."),
                (b"NOOP",) * 50_000,
            ]:
                open_clients.enter_context(closing(self.talk(port, *lines)))
            half_open = open_clients.enter_context(closing(self.talk(port, *envelope)))
            half_open.shutdown(socket.SHUT_WR)
            assert self.stopped(process) < PATIENCE

    def test_with_a_database_that_hangs_and_says_no_250(self, listener):
        process, port = listener
        table = "sandbox_inbox, feedback_rawfeedback, transports_transport"
        with transaction.atomic(), connection.cursor() as cursor, ExitStack() as open_clients:
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            clients = [
                open_clients.enter_context(
                    closing(
                        self.talk(
                            port,
                            b"HELO x",
                            b"MAIL FROM:<a@b.example>",
                            f"RCPT TO:<ada@{HOST}>".encode(),
                            b"DATA",
                            b"Subject: %d" % number,
                            b".",
                        )
                    )
                )
                for number in range(20)
            ]
            assert self.stopped(process) < PATIENCE
            for client in clients:
                said = client.makefile("rb").read()
                assert b"250 2.0.0" not in said
        assert not RawFeedback.objects.exists()
        assert not CapturedMessage.objects.exists()
