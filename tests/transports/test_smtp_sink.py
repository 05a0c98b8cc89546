"""Against Postfix's own test server, a second opinion on what a server does."""

import shutil
import subprocess

import pytest

from mailops.transports.sessions import Envelope, Phase, SessionFault, SessionLost
from tests.ports import free_port, is_listening
from tests.waiting import wait_until

pytestmark = pytest.mark.needs("smtp-sink")
ENVELOPE = Envelope("s@example.com", "r@example.net", size=100)


@pytest.fixture
def sink(dial, settings):
    """Return a function that starts smtp-sink with options and gives a session with it."""
    processes = []

    def start(*options):
        port = free_port()
        program = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin:/sbin:/bin")
        command = [program, "-u", "nobody", *options, f"127.0.0.1:{port}", "100"]
        if subprocess.run(["id", "-u"], capture_output=True, check=True).stdout != b"0\n":
            command[1:3] = []
        processes.append(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        wait_until(lambda: is_listening(port), seconds=30, what="smtp-sink")
        return dial(type("Sink", (), {"port": port}), opens=False)

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_a_thousand_messages_go_through_one_session(sink):
    session = sink()
    session.open()
    assert session.can_pipeline
    assert session.offer(ENVELOPE).is_ready
    for _ in range(1000):
        result = session.body(b"Subject: x\r\n\r\n.dots\r\n", then=ENVELOPE)
        assert result.reply.code == 250
        assert result.next_offer.is_ready
    session.abandon()


def test_a_large_body_goes_through(sink):
    session = sink()
    session.open()
    session.offer(ENVELOPE)
    assert session.body((b"x" * 76 + b"\r\n") * 100_000).reply.code == 250
    session.close()


@pytest.mark.parametrize(
    ("command", "phase"), [("MAIL", Phase.MAIL), ("RCPT", Phase.RCPT), ("DATA", Phase.DATA)]
)
def test_transient_and_permanent_refusals_come_back_as_offers(sink, command, phase):
    for option, code in (("-r", 450), ("-f", 500)):
        session = sink(option, command)
        session.open()
        offer = session.offer(ENVELOPE)
        assert (offer.is_ready, offer.phase) == (False, phase)
        assert offer.reply.code // 100 == code // 100


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_drop_at_an_envelope_is_lost_before_the_body(sink, command):
    session = sink("-q", command)
    session.open()
    with pytest.raises(SessionLost) as lost:
        session.offer(ENVELOPE)
    assert lost.value.phase != Phase.BODY


def test_a_drop_after_the_dot_is_lost_in_the_body(sink):
    session = sink("-q", ".")
    session.open()
    session.offer(ENVELOPE)
    with pytest.raises(SessionLost) as lost:
        session.body(b"x\r\n", then=ENVELOPE)
    assert lost.value.phase == Phase.BODY


def test_a_drop_at_the_greeting_charges_nobody(sink):
    session = sink("-q", "CONNECT")
    with pytest.raises(SessionFault):
        session.open()


def test_lines_are_not_pipelined_where_it_is_not_offered(sink):
    session = sink("-p")
    session.open()
    assert not session.can_pipeline
    session.offer(ENVELOPE)
    assert session.body(b"x\r\n").reply.code == 250
