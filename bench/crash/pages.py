"""The pages as somebody logged in sees them, asked of a web process of their own."""

import http.client
import sys
import time
from dataclasses import dataclass

from django.conf import settings
from django.test import Client

from bench.crash.scene import WEB_PORT, Scene
from bench.stage import wait_for
from mailops.installation.processes import WEB_THREADS, WEB_WORKER
from mailops.lib.supervisor import answers

PATIENCE = 20.0  # seconds until an answer counts as none


@dataclass(frozen=True)
class Answer:
    status: int  # 0: none came
    text: str
    seconds: float


class Pages:
    def __init__(self, scene: Scene) -> None:
        client = Client()
        client.force_login(scene.person())
        name = settings.SESSION_COOKIE_NAME
        self._cookie = f"{name}={client.cookies[name].value}"
        self._stage = scene.stage
        self.serve()

    def serve(self) -> None:
        """Start the web process, again where it was killed."""
        self._stage.start(
            "web",
            *(sys.executable, "-m", "gunicorn", "mailops.wsgi", f"--bind=127.0.0.1:{WEB_PORT}"),
            *(f"--worker-class={WEB_WORKER}", f"--threads={WEB_THREADS}", "--graceful-timeout=2"),
            *("--config=python:mailops.installation.gunicorn", "--log-level=warning"),
        )
        wait_for(lambda: answers("127.0.0.1", WEB_PORT), "the web process to listen")
        wait_for(lambda: self.ask("/healthz/").status == 200, "the web process to be up")

    def ask(self, path: str) -> Answer:
        began_at = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", WEB_PORT, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={"Cookie": self._cookie})
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, str(error), time.monotonic() - began_at)
        finally:
            connection.close()
        return Answer(answer.status, text, time.monotonic() - began_at)
