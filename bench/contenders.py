"""The four that send the same mail to the same receiver: mailops, smtp-source and two peers."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from bench import audience, letter
from bench.receivers import SINK_PORT, Sink, program
from bench.stage import PEERS_PYTHON, Peer, Stage, wait_for
from mailops.audiences.models import Audience
from mailops.campaigns.models import Campaign
from mailops.transports.models import RunState, Stream

BULK_WORKERS = ("bulk1", "bulk2")
BEAT_STARTS_IN = 3.0  # seconds; it tells nobody when it is ready
CATCHES_UP_IN = 1.5
PEER_WORKERS = ("celery1", "celery2")
SESSIONS = 20


class Contender(Protocol):
    name: str

    def fill(self, recipients: int) -> None:
        """Put down what is to be sent, so that only the sending is left."""

    def send(self) -> float:
        """Send it all; return the seconds from the first claim to the last result."""

    def check(self) -> None:
        """Raise where its own account is not what was to be sent."""


class Mailops:
    """Two bulk workers, housekeeping and beat as in `make up`; its clock stands still while others have their turn."""

    name = "mailops"

    def __init__(self, stage: Stage, sink: Sink, *, profile: Path | None = None) -> None:
        self.stage, self.sink = stage, sink
        self.stream = audience.make_stream("Bulk")
        self.version = audience.make_version()
        self._audiences: dict[int, Audience] = {}
        self._campaign: Campaign | None = None
        self._recipients = 0
        for number, worker in enumerate(BULK_WORKERS):
            stage.start_worker(worker, "bulk", profile=profile if number == 0 else None)
        stage.start_worker("housekeeping", "housekeeping")
        stage.wait_ready(*BULK_WORKERS, "housekeeping")
        stage.start_beat()
        time.sleep(BEAT_STARTS_IN)
        stage.hold("beat")

    def audience_of(self, recipients: int) -> Audience:
        if recipients not in self._audiences:
            self._audiences[recipients] = audience.make_audience(recipients)
        return self._audiences[recipients]

    def fill(self, recipients: int, stream: Stream | None = None) -> None:
        """Make all rows of a campaign, through a stream that is paused until `send()`."""
        self._stream, self._recipients = stream or self.stream, recipients
        set_state(self._stream, RunState.PAUSED)
        self._campaign = audience.make_campaign(
            self._stream, self.version, self.audience_of(recipients)
        )
        audience.expand(self._campaign)

    def send(self) -> float:
        campaign = self._campaign
        assert campaign is not None
        wanted = self.sink.count() + self._recipients
        with self.running():
            set_state(self._stream, RunState.RUNNING)
            wait_for(audience.has_claims, "the first claim", every=0.002)
            begun_at = time.monotonic()
            self.sink.wait_for_count(wanted)
            wait_for(lambda: not audience.has_open(campaign), "the last result", every=0.01)
            return time.monotonic() - begun_at

    def check(self) -> None:
        assert self._campaign is not None
        audience.check_accepted(self._campaign, self._recipients)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let its clock run, and catch up at first with what fell due while it stood still."""
        self.stage.go_on("beat")
        time.sleep(CATCHES_UP_IN)
        yield
        self.stage.hold("beat")


def set_state(stream: Stream, state: RunState) -> None:
    Stream.objects.filter(pk=stream.pk).update(state=state)


class SmtpSource:
    """Postfix's smtp-source, which sends one ready-made mail again and again: what the wire allows."""

    name = "smtp_source"

    def __init__(self, content: Path) -> None:
        self._content, self._recipients = content, 0
        self.port = SINK_PORT

    def fill(self, recipients: int) -> None:
        self._recipients = recipients

    def send(self) -> float:
        begun_at = time.monotonic()
        subprocess.run(
            [
                program("smtp-source"),
                *("-d", "-N", "-s", str(min(SESSIONS, self._recipients))),
                *("-m", str(self._recipients), "-F", str(self._content)),
                *("-f", f"{letter.SENDER}@{letter.DOMAIN}", "-t", "r@inbox.example"),
                f"127.0.0.1:{self.port}",
            ],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        return time.monotonic() - begun_at

    def check(self) -> None:
        pass  # it stops at the first reply that is not positive


class PeerContender:
    """A peer that runs in a process of its own."""

    module = ""

    def __init__(self, stage: Stage, name: str) -> None:
        self.name = name
        self._stage = stage
        stage.make_database(name)
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "bench.peers.settings",
            "BENCH_DATABASE": name,
            "BENCH_DATABASE_HOST": str(stage.server.socket),
        }
        self._peer = Peer(stage, name, self.module, self.environment)
        self._recipients = self._sent = 0

    def fill(self, recipients: int) -> None:
        self._recipients = recipients
        self._peer.ask("fill", recipients)

    def send(self) -> float:
        begun_at = time.monotonic()
        self._sent = self._peer.ask("send")
        return time.monotonic() - begun_at

    def check(self) -> None:
        assert self._sent == self._recipients, f"{self.name} tells of {self._sent:,} sent"


class PostOffice(PeerContender):
    module = "bench.peers.with_post_office"


class CeleryBatch(PeerContender):
    module = "bench.peers.with_celery"

    def __init__(self, stage: Stage, name: str) -> None:
        super().__init__(stage, name)
        for worker in PEER_WORKERS:
            stage.start(
                worker,
                *(
                    str(PEERS_PYTHON),
                    "-m",
                    "celery",
                    "--quiet",
                    "-A",
                    "bench.peers.tasks",
                    "worker",
                ),
                *(f"--hostname={worker}@bench", "--queues=mail", "--pool=solo", "--loglevel=INFO"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
                environment=self.environment,
            )
        stage.wait_ready(*PEER_WORKERS)


def make_content(folder: Path, mail: bytes) -> Path:
    """Write a mail that mailops made, for smtp-source to send."""
    file = folder / "mail.eml"
    file.write_bytes(mail)
    return file
