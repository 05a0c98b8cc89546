"""Runs mailops' own processes on the test database: Celery workers, beat, a receiver whose log is the truth."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from mailops.installation.processes import worker_command
from mailops.rollouts.probes.captures import RECIPIENT as PROBED
from tests.ports import free_ports, is_listening
from tests.waiting import wait_until

ROOT = Path(settings.BASE_DIR)


def database_url() -> str:
    """Return the URL of the database that this test uses."""
    values = connection.settings_dict
    host = values["HOST"]
    at = f"?host={quote(host)}" if host.startswith("/") else ""
    place = "" if at else f"{host}:{values['PORT'] or 5432}"
    password = f":{quote(values['PASSWORD'])}" if values["PASSWORD"] else ""
    return f"postgresql://{values['USER']}{password}@{place}/{values['NAME']}{at}"


class Engine:
    """Starts and kills processes of one installation; everything ends with `stop()`."""

    def __init__(self, home: Path, *, broker_url: str = "", **environment: str) -> None:
        self.home = home
        self.receiver_port, self.feedback_port = free_ports(2)
        self.receiver_log = home / "receiver.log"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "MAILOPS_HOME": str(home),
            "SECRET_KEY": settings.SECRET_KEY,
            "MAILOPS_SECRET_KEYS": ",".join(settings.MAILOPS_SECRET_KEYS),
            "MAILOPS_TOKEN_KEYS": ",".join(
                f"{k}:{v}" for k, v in settings.MAILOPS_TOKEN_KEYS.items()
            ),
            "MAILOPS_DEMO": "0",
            "MAILOPS_NAMESERVERS": "127.0.0.1:1",  # nobody answers there: refused at once
            "MAILOPS_TRUSTED_RELAYS": f"127.0.0.1:{self.receiver_port}",
            "MAILOPS_SANDBOX_LISTENER": f"127.0.0.1:{self.receiver_port}",
            "MAILOPS_FEEDBACK_LISTENER": f"127.0.0.1:{self.feedback_port}",
            "MAILOPS_HEARTBEAT_SECONDS": "0.3",
            "MAILOPS_DEAD_AFTER_SECONDS": "2",
            "MAILOPS_STOP_GRACE_SECONDS": "4",
            **({"CELERY_BROKER_URL": broker_url} if broker_url else {}),
            **environment,
        }

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one process, its output in the home's `<name>.log`."""
        with (self.home / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        self._processes[name] = process
        return process

    def start_receiver(self, *options: str) -> None:
        self.start(
            "receiver", "manage.py", "sandbox_listener", "--log", str(self.receiver_log), *options
        )
        wait_until(lambda: is_listening(self.receiver_port), seconds=30, what="the receiver")

    def start_feedback_listener(self) -> None:
        self.start("feedback", "manage.py", "feedback_listener")
        wait_until(
            lambda: is_listening(self.feedback_port), seconds=30, what="the feedback listener"
        )

    def start_worker(self, name: str, queue: str) -> None:
        _, *command = worker_command(queue, name=f"{name}@test", level="WARNING")
        self.start(name, *command)

    def start_beat(self) -> None:
        self.start(
            "beat",
            "-m",
            "celery",
            "-A",
            "mailops",
            "beat",
            "-s",
            str(self.home / "beat-schedule"),
            "-l",
            "WARNING",
        )

    def start_housekeeping(self) -> None:
        self.start_worker("housekeeping", "housekeeping")
        self.start_beat()

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End one of our own processes by its pid."""
        process = self._processes.pop(name)
        process.send_signal(how)
        process.wait(timeout=30)

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def received(self) -> Counter[str]:
        """Return how often each recipient's mail was taken, by the receiver's own log.

        What a checklist's probe sends to its own inbox, on its own clock, is nobody's mail.
        """
        if not self.receiver_log.exists():
            return Counter()
        lines = self.receiver_log.read_text().splitlines()
        taken = Counter(json.loads(line)["recipient"] for line in lines if line.endswith("}"))
        del taken[PROBED]
        return taken
