"""What a wire says has left, against a peer of which the test knows every octet it could read."""

import socket
import ssl
import threading
from contextlib import contextmanager, suppress

import pytest

from mailops.transports.wire import Wire, WireLost

RECORD = 16 * 1024


@contextmanager
def wire_over_tls(authority):
    """Give a wire over TLS and its peer, which blocks."""
    ours, theirs = socket.socketpair()
    secured = []

    def accept():
        secured.append(authority.server_context().wrap_socket(theirs, server_side=True))

    thread = threading.Thread(target=accept)
    thread.start()
    wire = Wire(ours)
    context = ssl.create_default_context(cafile=authority.file)
    wire.start_tls(context, "127.0.0.1", timeout=60)
    thread.join()
    try:
        yield wire, secured[0]
    finally:
        wire.cut()
        secured[0].close()


def read_all(peer):
    """Return how many octets have come that can be decrypted."""
    peer.setblocking(False)
    count = 0
    with suppress(ssl.SSLWantReadError):
        while octets := peer.recv(RECORD):
            count += len(octets)
    return count


@pytest.mark.parametrize("records", range(1, 24))
def test_a_body_is_called_unwritten_only_where_its_end_can_not_be_read(authority, records):
    body = b"x" * records * RECORD
    with wire_over_tls(authority) as (wire, peer):
        try:
            wire.send_body(body, b"y" * 32 * RECORD, timeout=0)
        except WireLost:
            assert read_all(peer) < len(body)
        else:
            assert read_all(peer) >= len(body)


class Renegotiating:
    """The TLS of a peer that wants to be read before it is written to."""

    def __init__(self, tls):
        self._tls, self.reads, self.refusals = tls, 0, 0

    def __getattr__(self, name):
        return getattr(self._tls, name)

    def read(self, *_):
        self.reads += 1
        raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "wants to be read")

    def write(self, data):
        if not self.reads:
            self.refusals += 1
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "wants to be read")
        return self._tls.write(data)


@pytest.mark.parametrize("way", ["send", "send_body"])
def test_reads_once_the_peer_has_spoken_where_tls_can_not_write_before(authority, way, monkeypatch):
    with wire_over_tls(authority) as (wire, peer):
        with suppress(ssl.SSLWantReadError):
            wire.tls.read(1)  # the tickets of TLS 1.3
        wire.tls._sslobj = tls = Renegotiating(wire.tls._sslobj)
        await_ = Wire._await
        monkeypatch.setattr(Wire, "_await", lambda *asked: peer.sendall(b"x") or await_(*asked))
        if way == "send":
            wire.send(b"hello", timeout=60)
        else:
            wire.send_body(b"hello", b"", timeout=60)
        assert (tls.refusals, tls.reads) == (1, 1)
        assert peer.recv(100) == b"hello"


def test_what_came_in_time_is_read_however_late_this_process_looks():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire = Wire(ours)
        theirs.sendall(b"250 2.0.0 Taken\r\n")
        assert wire.read_reply(".", timeout=-1).code == 250
        with pytest.raises(WireLost, match="did not answer in time") as lost:
            wire.read_reply(".", timeout=-1)
        assert lost.value.cause == "timeout"


def test_what_comes_while_the_wait_ends_is_read(monkeypatch):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire = Wire(ours)
        really = socket.socket.settimeout

        def wait_in_vain(self, seconds):
            """Let the time end at once; the reply comes before anybody looks again."""
            really(self, 0.001)
            monkeypatch.setattr(socket.socket, "setblocking", answer_and_unblock)

        def answer_and_unblock(self, flag):
            theirs.sendall(b"250 2.0.0 Taken\r\n")
            monkeypatch.undo()
            self.setblocking(flag)

        monkeypatch.setattr(socket.socket, "settimeout", wait_in_vain)
        assert wire.read_reply(".", timeout=60).code == 250
