"""The return-path host's server takes reports over real SMTP, stores them before its 250, and relays nothing."""

import asyncio
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from email import message_from_bytes
from email.policy import SMTP as SMTP_POLICY

import pytest
from django.db import OperationalError

from mailops.dispatch.claiming import Claimer, usable_carriers
from mailops.dispatch.models import Worker
from mailops.dispatch.preparing import prepare
from mailops.feedback import listening
from mailops.feedback.models import RawFeedback
from mailops.feedback.processing import process_pending
from mailops.outbox.models import Event, EventKind, Status
from mailops.suppressions.models import Suppression
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
    content = prepare(job, message.version, "").content
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

    def test_garbage_gets_an_answer(self, listener):
        with socket.create_connection(("127.0.0.1", listener), timeout=10) as raw:
            raw.recv(1000)
            raw.sendall(b"\xff\xfe\x00nonsense\r\n")
            assert raw.recv(1000).startswith(b"5")


@pytest.mark.whole
def test_the_process_stops_at_sigterm(transactional_db):
    process = subprocess.Popen(
        [sys.executable, "manage.py", "feedback_listener", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "feedback is taken at" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert (
        process.wait(5) == 0
    )  # `make up` stops within 5 s; alone on a machine it is half a second
    process.stdout.close()
