import json
import os
import signal
import smtplib
import subprocess
import sys
from contextlib import closing

import pytest


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
