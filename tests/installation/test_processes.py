"""How it is known that the processes are up."""

import socket
import sys
import threading

import pytest

from mailops.installation import processes
from mailops.installation.processes import LISTENERS, _is_well
from mailops.lib.supervisor import StartError
from tests.ports import free_port


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


class TestATakenPort:
    @pytest.fixture(autouse=True)
    def listeners(self, settings, monkeypatch):
        settings.MAILOPS_DEMO = True
        for listener, variable in [("MAILOPS_BIND",) * 2, *LISTENERS.values()]:
            setattr(settings, listener, f"127.0.0.1:{free_port()}")
            monkeypatch.delenv(variable, raising=False)

    @pytest.mark.parametrize(
        "setting", ["MAILOPS_BIND", "MAILOPS_FEEDBACK_LISTENER", "MAILOPS_DEMO_NAMESERVER"]
    )
    def test_is_moved_by_port(self, setting, settings, taken):
        setattr(settings, setting, taken)
        with pytest.raises(StartError, match=r"Set PORT to a free one\.$"):
            processes.check_ports()

    @pytest.mark.parametrize("variable", ["MAILOPS_BIND", "MAILOPS_FEEDBACK_LISTENER"])
    def test_that_a_variable_names_is_moved_by_that(self, variable, settings, taken, monkeypatch):
        setattr(settings, variable, taken)
        monkeypatch.setenv(variable, taken)
        with pytest.raises(StartError, match=f"Set {variable} to an address of this machine"):
            processes.check_ports()

    @pytest.fixture
    def taken(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            yield f"127.0.0.1:{server.getsockname()[1]}"


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
