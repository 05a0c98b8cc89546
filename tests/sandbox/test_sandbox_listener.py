import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
from contextlib import closing

import pytest
from django.core.management import CommandError, call_command


@pytest.fixture
def listener(tmp_path):
    """Start the real process, without a database, and give it with its port."""
    process = subprocess.Popen(
        [
            sys.executable,
            "manage.py",
            "sandbox_listener",
            "--listen",
            "127.0.0.1:0",
            "--no-store",
            "--log",
            str(tmp_path / "log"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process, int(process.stdout.readline().rpartition(":")[2]), tmp_path / "log"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class TestCommand:
    def test_logs_what_it_took_and_stops_with_a_session_open(self, listener):
        process, port, log = listener
        with closing(smtplib.SMTP("127.0.0.1", port, timeout=5)) as client:
            client.sendmail("a@b.example", ["ada@example.net"], "Message-ID: <one@b>\r\n\r\n")
            assert json.loads(log.read_text())["message_id"] == "<one@b>"
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0

    @pytest.mark.parametrize(
        ("nonsense", "told"),
        [
            (["--listen", "nowhere"], "“nowhere” is not host:port"),
            (["--listen", "127.0.0.1:99999"], "“99999” is no port"),
            (["--listen", "127.0.0.1:0", "--reaction-delay", "nan"], "“nan” is no number"),
            (["--listen", "127.0.0.1:0", "--no-store", "--log", "/nowhere/log"], "No such file"),
        ],
    )
    def test_refuses_nonsense_in_a_sentence(self, nonsense, told):
        with pytest.raises(CommandError, match=told):
            call_command("sandbox_listener", *nonsense)

    def test_says_that_its_port_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            where = f"127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(CommandError, match=r"can't receive mail.*in use"):
                call_command("sandbox_listener", "--listen", where, "--no-store")
