"""Sessions are kept up to the transport's limit, looked at before use, closed when idle, and each has one thread."""

import socket
import threading
from collections import defaultdict

import pytest

from mailops.dispatch import conversation, opening
from mailops.dispatch.delivery import Delivery
from mailops.dispatch.lanes import Lane
from mailops.dispatch.working import WorkerProcess
from mailops.lib.secrets import Secret
from mailops.outbox.models import Event, Message, QueueEntry
from mailops.outbox.tokens import current_token_key_id
from mailops.transports.credentials import add_credential
from mailops.transports.kinds import open_sessions
from mailops.transports.models import Transport
from tests.dispatch.test_rotation_under_load import queue
from tests.factories import make_message, make_stream, make_transport
from tests.login_server import LoginServer
from tests.smtp_server import CertificateAuthority, SmtpServer
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "a-password-5f1c"
SESSIONS = 3


@pytest.fixture
def server(tmp_path, settings):
    authority = CertificateAuthority(tmp_path)
    settings.MAILOPS_EXTRA_CA_FILE = str(authority.file)
    with LoginServer(authority.server_context(), PASSWORD) as server:
        settings.MAILOPS_TRUSTED_RELAYS = frozenset({("127.0.0.1", server.port)})
        yield server


@pytest.fixture
def stream(server):
    transport = make_transport(port=server.port, security="tls", max_sessions=SESSIONS)
    add_credential(
        transport=transport, label="Key", username="u", secret=Secret(PASSWORD), actor=None
    )
    return make_stream(transport=transport)


class Watched:
    """Keeps the sessions that a delivery opens, and which threads each was used by."""

    def __init__(self, monkeypatch):
        self.sessions, self.threads, self.closed = [], defaultdict(set), []
        self.open, self.most = set(), 0  # kept here: to ask a session would read from its socket
        monkeypatch.setattr(opening, "open_sessions", self.open_sessions)

    def open_sessions(self, transport):
        for session in open_sessions(transport):
            self.sessions.append(session)
            for verb in ("open", "offer", "body", "close", "abandon"):
                self._watch(session, verb)
            yield session

    def _watch(self, session, verb):
        does = getattr(session, verb)

        def done(*args, **kwargs):
            self.threads[id(session)].add(threading.get_ident())
            if verb == "open":
                self.open.add(id(session))
                self.most = max(self.most, len(self.open))
            if verb == "close":
                self.closed.append(session)
            try:
                return does(*args, **kwargs)
            finally:
                if verb in {"close", "abandon"}:
                    self.open.discard(id(session))

        setattr(session, verb, done)


@pytest.fixture
def watched(monkeypatch):
    return Watched(monkeypatch)


def due(stream):
    return make_message(stream=stream, token_key_id=current_token_key_id())


def test_are_as_many_as_the_transport_allows_and_each_is_used_by_one_thread(
    server, stream, watched
):
    queue(stream, 120)
    worker = WorkerProcess("bulk")
    run = Delivery(worker, "bulk", should_stop=lambda: False)
    run.run()
    run.finish()
    worker.stop()
    assert sum(server.recipients.values()) == 120
    assert 0 < len(watched.sessions) <= SESSIONS
    assert watched.most <= SESSIONS
    assert {len(threads) for threads in watched.threads.values()} == {1}
    assert len({thread for some in watched.threads.values() for thread in some}) == len(
        watched.sessions
    )
    assert server.log_ins[PASSWORD] == len(watched.sessions)


def play(*acts):
    """Run a delivery; after each act let it go on until all that is due was accepted. Stop after the last."""
    worker, left = WorkerProcess("bulk"), list(acts)

    def should_stop():
        if QueueEntry.objects.exists():
            return False
        if left:
            left.pop(0)()
            return False
        return True

    run = Delivery(worker, "bulk", should_stop=should_stop)
    while left:
        run.run()  # ends early where it is idle
    run.run()
    run.finish()
    worker.stop()


class TestIdle:
    @pytest.fixture(autouse=True)
    def _patience(self, monkeypatch):
        monkeypatch.setattr(conversation.Conversation, "IDLE_SECONDS", 30.0)

    def test_one_serves_what_comes_next(self, server, stream, watched):
        play(*[lambda: due(stream)] * 3)
        assert sum(server.recipients.values()) == 3
        assert server.log_ins[PASSWORD] == 1

    def test_a_claim_that_finds_nothing_ends_none(self, monkeypatch, server, stream, watched):
        looks, look = [], Lane.add

        def note(lane, jobs):
            looks.append(jobs)
            look(lane, jobs)

        monkeypatch.setattr(Lane, "add", note)

        left = [stream]

        def should_stop():
            if QueueEntry.objects.exists():
                looks.clear()
            if looks[-3:] != [[], [], []]:
                return False
            return not left or not due(left.pop())

        worker = WorkerProcess("bulk")
        run = Delivery(worker, "bulk", should_stop=should_stop)
        due(stream)
        for _ in range(10):
            run.run()  # ends early where it is idle
        run.finish()
        worker.stop()
        assert sum(server.recipients.values()) == 2
        assert server.log_ins[PASSWORD] == 1

    @pytest.mark.parametrize("changed", ["port", "options"])
    def test_none_goes_on_the_way_that_its_transport_had_before(self, settings, watched, changed):
        with SmtpServer() as before, SmtpServer() as after:
            ports = [before.port, after.port]
            settings.MAILOPS_TRUSTED_RELAYS = frozenset(("127.0.0.1", port) for port in ports)
            moved = make_stream(transport=make_transport(port=before.port))

            def change():
                value = after.port if changed == "port" else {"preset": "smtp"}
                Transport.objects.update(**{changed: value})
                due(moved)

            play(lambda: due(moved), change)
            taken = [len(before.messages), len(after.messages)]
        assert taken == ([1, 1] if changed == "port" else [2, 0])
        assert len(watched.sessions) == 2

    def test_one_is_closed_with_a_farewell(self, monkeypatch, server, stream, watched):
        monkeypatch.setattr(conversation.Conversation, "IDLE_SECONDS", 0.05)

        def wait_closed():
            wait_until(lambda: watched.closed, seconds=30, what="the session to be closed")

        play(lambda: due(stream), wait_closed)
        assert watched.closed == watched.sessions
        assert not watched.sessions[0].is_open

    def test_one_that_its_peer_ended_costs_the_next_message_nothing(self, server, stream, watched):
        def end_sessions():
            for connection in server._open:
                connection.shutdown(socket.SHUT_RDWR)
            due(stream)

        play(lambda: due(stream), end_sessions)
        assert server.log_ins[PASSWORD] == 2
        assert set(Event.objects.values_list("kind", flat=True)) == {"accepted"}
        assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}
