"""The whole of mailops as real processes: started, hurt, stopped."""

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings

from mailops.installation.processes import LISTENERS, WORKERS
from tests.waiting import wait_until

pytestmark = [pytest.mark.whole, pytest.mark.usefixtures("socket_enabled")]

OFFSETS = (0, 1000, 2000, 3000)  # pages, sandbox, feedback, name server


def free_port():
    """Return a port that is free together with those that follow from it."""
    for port in range(20000 + os.getpid() % 5000, 30000):
        try:
            for offset in OFFSETS:
                socket.create_server(("127.0.0.1", port + offset)).close()
        except OSError:
            continue
        return port
    raise AssertionError("no free ports")


class Up:
    """One `manage.py up` over a home."""

    def __init__(self, home, port, **variables):
        inherited = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
        self.home, self.port = home, port
        self.process = subprocess.Popen(
            [sys.executable, settings.BASE_DIR / "manage.py", "up"],
            env={**inherited, "MAILOPS_HOME": str(home), "PORT": str(port), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = []
        self._coming = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self.process.stdout:
            for line in self.process.stdout:
                self._coming.put(line.rstrip())
        self._coming.put(None)

    def wait_for(self, words, seconds=600):
        """Return the next line with these words; the patience is for a busy machine."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._coming.get(timeout=left)
            except queue.Empty:
                line = None
            if line is None:
                break
            self.lines.append(line)
            if re.search(words, line):
                return line
        raise AssertionError("\n".join(["never said: " + words, *self.lines]))

    def end(self, number=signal.SIGTERM):
        """Stop it, and read what it said to the end."""
        self.process.send_signal(number)
        self.process.wait(timeout=30)
        self._reader.join(timeout=10)

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read().decode()


def running(home, name=""):
    """Return the numbers of all processes started for this home, or of those with this name."""
    wanted = f"MAILOPS_HOME={home}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes()
            its_name = (process / "comm").read_text().strip()
        except OSError:
            continue  # it went meanwhile
        is_ours = wanted in environment or f"{home}/postgres".encode() in command
        if (
            command
            and is_ours
            and (name in {"", its_name} or f"--queues={name}".encode() in command)
        ):
            found.append(int(process.name))
    return found


def expect_gone(home):
    """Wait until no process of a home runs any more."""
    wait_until(lambda: not running(home), seconds=10, what="all processes to be gone")


@pytest.fixture
def up(tmp_path):
    """Return a function that starts mailops; whatever still runs is killed in the end."""
    started = []

    def start(home=tmp_path, **variables):
        started.append(Up(home, variables.pop("port", None) or free_port(), **variables))
        return started[-1]

    yield start
    for one in started:
        one.end(signal.SIGKILL)
    for one in started:
        expect_gone(one.home)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """One mailops for the tests that leave it as well as they found it: a first start takes many seconds."""
    mailops = Up(tmp_path_factory.mktemp("lasting"), free_port(), MAILOPS_DEMO="0")
    try:
        mailops.wait_for("^mailops is ready")
        yield mailops
    finally:
        mailops.end(signal.SIGKILL)
    expect_gone(mailops.home)


class TestUp:
    def test_starts_stops_and_starts_again_with_all_data(self, up, tmp_path):
        first = up()
        line = first.wait_for("^mailops is ready")
        assert line == (
            f"mailops is ready at http://127.0.0.1:{first.port} – log in as admin@example.com"
            f" (password in {tmp_path / 'admin-password'})"
        )
        assert first.get("/healthz/") == "well\n"
        assert 'name="login"' in first.get("/accounts/login/")
        password = (tmp_path / "admin-password").read_text()
        first.end(signal.SIGINT)
        assert first.process.returncode == 0
        expect_gone(tmp_path)

        second = up(port=first.port)
        second.wait_for("^mailops is ready")
        assert (tmp_path / "admin-password").read_text() == password
        second.end(signal.SIGTERM)

    def test_every_process_comes_back_after_kill_9(self, up, tmp_path):
        mailops = up(MAILOPS_DEMO="0")
        mailops.wait_for("^mailops is ready")
        listeners = {command.partition("_")[0] for command in LISTENERS} - {"demo"}
        for name in ("web", "beat", *WORKERS, *listeners):
            number, *_ = running(tmp_path, name)
            os.kill(number, signal.SIGKILL)
            mailops.wait_for(rf"{name} .*died \(SIGKILL\); starts again in 1 s")
        self._until_well(mailops)

    def test_the_database_comes_back_after_kill_9(self, lasting):
        postmaster = (lasting.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0]
        os.kill(int(postmaster), signal.SIGKILL)
        lasting.wait_for(r"postgres .*died \(SIGKILL\)")
        lasting.wait_for("ready to accept connections")
        self._until_well(lasting)

    @staticmethod
    def _until_well(mailops):
        def is_well():
            with suppress(OSError):
                return mailops.get("/healthz/") == "well\n"

        wait_until(is_well, seconds=60, what="all to be well")

    def test_leaves_nothing_when_it_is_killed_itself_and_starts_over(self, up, tmp_path):
        first = up(MAILOPS_DEMO="0")
        first.wait_for("^mailops is ready")
        first.end(signal.SIGKILL)
        expect_gone(tmp_path)
        up(port=first.port, MAILOPS_DEMO="0").wait_for("^mailops is ready")

    def test_two_run_side_by_side(self, lasting, up):
        other = up(MAILOPS_DEMO="0")
        other.wait_for("^mailops is ready")
        assert lasting.get("/healthz/") == other.get("/healthz/") == "well\n"


class TestRefusals:
    def test_a_port_in_use_is_named_before_anything_starts(self, up, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            refused = up(port=port)
            refused.wait_for(f"Port {port} on 127.0.0.1, for the pages, can't be used")
            assert refused.process.wait(timeout=5) == 1
        assert not (tmp_path / "postgres").exists()

    def test_a_second_one_over_the_same_home_is_refused(self, lasting):
        second = Up(lasting.home, free_port(), MAILOPS_DEMO="0")
        try:
            second.wait_for(
                rf"mailops already runs on {lasting.home} \(process {lasting.process.pid}\)"
            )
            assert second.process.wait(timeout=5) == 1
        finally:
            second.end(signal.SIGKILL)
        assert lasting.get("/healthz/") == "well\n"
