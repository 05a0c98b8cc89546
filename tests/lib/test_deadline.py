import socket
import ssl
import threading

import pytest

from mailops.lib.deadline import Deadline


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_goes_on_with_nothing_that_no_thread_watches(pair, monkeypatch):
    def start(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(OSError, match="no thread can be started"), Deadline(pair[0], 10):
        pass


def test_a_cut_never_goes_on_in_the_clear(pair):
    ours, theirs = pair
    context = ssl.create_default_context()
    secured = context.wrap_socket(
        ours, server_hostname="acme.example", do_handshake_on_connect=False
    )
    with secured:
        deadline = Deadline(secured, 60)
        deadline._cut()
        assert deadline.is_over
        assert secured._sslobj is not None  # else what is written is not encrypted
        assert theirs.recv(1) == b""
