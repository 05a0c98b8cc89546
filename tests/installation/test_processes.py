"""How it is known that the processes are up."""

import socket
import sys
import threading

import pytest

from mailops.installation import processes
from mailops.installation.processes import _is_well


@pytest.mark.usefixtures("socket_enabled")
def test_the_pages_are_not_up_where_something_else_answers_at_their_port():
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet():
            caller, _ = other.accept()
            with caller:
                caller.recv(4096)
                caller.sendall(b"220 mail.example ESMTP\r\n")

        threading.Thread(target=greet, daemon=True).start()
        assert not _is_well(*other.getsockname())


def test_the_web_counts_wrong_passwords_in_one_process(monkeypatch):
    """With four, each account's passwords could be tried four times as often, and a code of an app used four times."""
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--workers=4")  # as WEB_CONCURRENCY=4
    served = []
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(processes.WSGIApplication, "run", lambda self: served.append(self.cfg))
    processes._serve()
    [configuration] = served
    assert configuration.workers == 1


def test_the_web_leaves_nothing_in_the_home_of_whoever_runs_it(monkeypatch):
    served = []
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(processes.WSGIApplication, "run", lambda self: served.append(self.cfg))
    processes._serve()
    [configuration] = served
    assert configuration.control_socket_disable
