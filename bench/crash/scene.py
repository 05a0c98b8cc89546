"""What a fault is played on: receivers, workers and campaigns, and what it expects of them in the end."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from django.db import InterfaceError, OperationalError, connections

from bench import audience, letter
from bench.crash.witness import Witness
from bench.stage import BenchError, Stage, T, wait_for
from mailops.accounts.models import User
from mailops.audiences.models import Audience, Contact, Membership
from mailops.campaigns.models import Campaign
from mailops.campaigns.preflight import latest_preflight
from mailops.campaigns.tasks import rehearse_soon
from mailops.content.models import TemplateVersion
from mailops.dispatch.models import Worker
from mailops.domains.checking import check_domain
from mailops.outbox.models import QueueEntry
from mailops.transports.models import RunState, Stream, Transport

PORT, SECOND_PORT, WEB_PORT, *MORE_PORTS = map(int, os.environ["CRASH_PORTS"].split(","))
RECEIVER = Path(__file__).with_name("receiver.py")
BULK = "bulk1", "bulk2"
SESSIONS = 4
PACE = 0.04  # seconds the receiver thinks on a message: most of the time a body is unanswered
SETTLES_IN = 300.0
FREED_IN = 60.0  # after a worker died, all it held is settled or shown
# recipients of a further campaign: more than one worker claims at a time
BATCH, SHORT_BATCH = 800, 400
BACKOFF = [1, 1, 2]
PERSON = "crash@bench.example"

_numbers = count(1)


class NotPlayedError(BenchError):
    """A fault can't be played on this machine; the text names what is missing."""


@dataclass
class Scene:
    """One fault's own stream, transport, campaign and receiver on the stage that all share."""

    stage: Stage
    name: str
    version: TemplateVersion
    size: int
    times: int
    is_short: bool
    bound: int = 0  # most messages that may end uncertain
    recipients: list[str] = field(default_factory=list)
    campaigns: list[Campaign] = field(default_factory=list)
    ends_as: Campaign.State = Campaign.State.COMPLETED
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broken_at: float = 0.0
    resumed_in: float = 0.0
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.log = self.stage.logs / f"{self.name}.jsonl"  # what the receiver took
        self.witness = Witness(self.log)

    # --- arrangement ---

    @staticmethod
    def program(name: str, package: str) -> str:
        """Return the path of a program that a fault needs."""
        found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/lib/rabbitmq/bin")
        if found is None:
            raise NotPlayedError(f"{name} is missing (Debian: apt install {package})")
        return found

    def start_receiver(
        self, *session_faults: str, pace: float = PACE, port: int = PORT, name: str = "receiver"
    ) -> None:
        self.stage.start(
            name, sys.executable, "-IS", str(RECEIVER), str(port), str(self.log), str(pace),
            *session_faults,
        )  # fmt: skip
        # its first sessions are the mail's own: asking whether it answers would use one up
        wait_for(lambda: listens(port), "the receiver to listen")

    def start_workers(self, *names: str) -> None:
        for name in names or BULK:
            self.start_worker(name)
        self.start_worker("housekeeping")
        self.stage.wait_ready(*(names or BULK), "housekeeping")
        self.stage.start_beat(environment=self.environment)

    def start_worker(self, name: str) -> None:
        self.stage.start_worker(name, name.rstrip("0123456789"), environment=self.environment)

    def make_campaign(
        self,
        recipients: Sequence[str] = (),
        *,
        port: int = PORT,
        sessions: int = SESSIONS,
        stream: Stream | None = None,
    ) -> Campaign:
        """Make a draft to these recipients, or to as many good ones as the fault's size."""
        number = next(_numbers)
        recipients = list(recipients) or self.good(self.size)
        stream = stream or self.make_stream(port=port, sessions=sessions)
        campaign = audience.make_campaign(
            stream, self.version, _audience(f"{self.name} {number}", recipients)
        )
        self.recipients += recipients
        self.campaigns.append(campaign)
        return campaign

    def make_stream(self, *, port: int = PORT, sessions: int = SESSIONS) -> Stream:
        stream = audience.make_stream(f"{self.name} {next(_numbers)}", port=port, sessions=sessions)
        stream.state, stream.backoff_seconds = RunState.RUNNING, BACKOFF
        stream.save()
        return stream

    def good(self, size: int) -> list[str]:
        """Return addresses nobody else has, whose mail is taken."""
        first = len(self.recipients)
        return [f"r{n}.{self.name}@inbox{n % 10}.example" for n in range(first, first + size)]

    def drawing(self, behavior: str, size: int) -> list[str]:
        """Return addresses that draw this behavior of the receiver."""
        return [f"{behavior}.{n}.{self.name}@inbox{n % 10}.example" for n in range(size)]

    def launch(
        self,
        recipients: Sequence[str] = (),
        *,
        port: int = PORT,
        sessions: int = SESSIONS,
        stream: Stream | None = None,
    ) -> Campaign:
        campaign = self.make_campaign(recipients, port=port, sessions=sessions, stream=stream)
        campaign.start(actor=None)
        return campaign

    def keep_busy(self, batch: int = 0) -> None:
        """Launch a further campaign where the blows might find nothing left to hit."""
        batch = batch or (SHORT_BATCH if self.is_short else BATCH)
        stream = self.campaigns[0].stream
        if QueueEntry.objects.filter(stream=stream, worker_id=None).count() < batch // 2:
            self.launch(self.good(batch), stream=stream)

    @staticmethod
    def person() -> User:
        """Return the one who presses the buttons."""
        known = User.objects.filter(email=PERSON).first()
        return known or User.objects.create_superuser(PERSON)

    def rehearse(self, campaign: Campaign) -> None:
        """Ask all that is asked before a launch, so that only what a person may override is left."""
        check_domain(campaign.identity.domain)
        rehearse_soon(campaign, self.person())
        self.wait(lambda: _is_rehearsed(campaign), "the rehearsal")

    # --- injection ---

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL, seconds: float = 30) -> None:
        """End one of our own processes by its number."""
        process = self.stage.processes.pop(name)
        process.send_signal(how)
        process.wait(timeout=seconds)

    def broke(self) -> None:
        """Note that the last blow has been struck: from here recovery is timed."""
        self.broken_at = time.monotonic()
        self.resumed_in = 0.0

    # --- observation ---

    def ask(self, question: Callable[[], T]) -> T | None:
        """Ask the database; None where it is away."""
        try:
            return question()
        except (OperationalError, InterfaceError):
            connections.close_all()
            return None

    def wait(self, condition: Callable[[], T], what: str, seconds: float = 60) -> T | None:
        return wait_for(lambda: self.ask(condition), what, seconds, every=0.05)

    def wait_sending(self, *names: str) -> None:
        """Wait until each of these workers has a body on its way."""
        for name in names:
            pid = self.stage.processes[name].pid
            self.wait(lambda pid=pid: _has_marked(pid), f"{name} to send")  # type: ignore[misc]

    def has_ended(self, name: str) -> bool:
        """Wait until this worker either sends or has ended itself; return whether it has ended."""
        process = self.stage.processes[name]
        self.wait(
            lambda: process.poll() is not None or _has_marked(process.pid),
            f"{name} to send or to end",
        )
        return process.poll() is not None

    def wait_taken(self, wanted: int, seconds: float = 60) -> None:
        wait_for(lambda: self.witness.count() >= wanted, f"{wanted} mails", seconds)

    def wait_resumed(self, seconds: float = 60) -> None:
        """Wait until mail is taken again, and note how long that took."""
        time.sleep(2 * PACE)  # for bodies that had left before the blow
        seen = self.witness.count()
        wait_for(lambda: self.witness.count() > seen, "mail to flow again", seconds)
        self.resumed_in = time.monotonic() - self.broken_at

    def wait_freed(self) -> None:
        """Wait until nothing is held any more by a worker that is gone, and note how long that took."""
        living = [process.pid for process in self.stage.processes.values()]
        held = QueueEntry.objects.filter(worker_id__isnull=False).exclude(
            worker_id__in=Worker.objects.alive().filter(pid__in=living).values("pk")
        )
        left = self.broken_at + FREED_IN - time.monotonic()
        self.wait(lambda: not held.exists(), "the claims of the dead to be settled", left)
        seconds = time.monotonic() - self.broken_at
        self.notes.append(f"what the dead had held was settled after {seconds:.1f} s")

    def expect(self, sentence: str, *, holds: bool) -> None:
        if not holds:
            self.findings.append(sentence)

    def settle(self, seconds: float = SETTLES_IN) -> float:
        """Wait until all campaigns ended as they should; return the seconds since the last blow."""
        begun_at = self.broken_at or time.monotonic()
        try:
            self.wait(self._has_settled, "the campaigns to end by themselves", seconds)
        except BenchError as error:
            self.findings.append(f"{error}: {'; '.join(self._standing())}")
        return time.monotonic() - begun_at

    def _standing(self) -> list[str]:
        """Say where campaigns, streams and transports stand that did not end as they should."""
        return [
            f"{one} is {one.state} {one.pause_sentence}, its stream {one.stream.state}"
            f" {one.stream.pause_sentence}, its transport {transport.state}"
            f" {transport.pause_sentence} {transport.breaker} {transport.breaker_sentence}"
            for one in Campaign.objects.filter(pk__in=[each.pk for each in self.campaigns])
            for transport in Transport.objects.filter(routes__stream=one.stream)
        ]

    def _has_settled(self) -> bool:
        ids = [campaign.pk for campaign in self.campaigns]
        if Campaign.objects.filter(pk__in=ids).exclude(state=self.ends_as).exists():
            return False
        is_open = QueueEntry.objects.filter(campaign__in=ids)
        if self.ends_as == Campaign.State.PAUSED:
            is_open = is_open.filter(worker_id__isnull=False)
        return not is_open.exists()

    def find_the_ended(self) -> None:
        """Note which of mailops' processes ended by themselves."""
        for name, process in self.stage.processes.items():
            if process.poll() is not None:
                self.findings.append(f"{name} ended by itself with {process.returncode}")


def _is_rehearsed(campaign: Campaign) -> bool:
    latest = latest_preflight(campaign)
    return latest is not None and latest.is_completed


def listens(port: int) -> bool:
    """Tell whether somebody listens at a port, without connecting to it."""
    listening = f":{port:04X} 00000000:0000 0A"
    return listening in Path("/proc/net/tcp").read_text()


def _has_marked(pid: int) -> bool:
    workers = Worker.objects.alive().filter(pid=pid).values("pk")
    return QueueEntry.objects.filter(worker_id__in=workers, marked_at__isnull=False).exists()


def _audience(name: str, recipients: Sequence[str]) -> Audience:
    made = Audience.objects.create(name=name)
    contacts = Contact.objects.bulk_create(
        Contact(address=address, address_key=address, attributes=letter.attributes(n))
        for n, address in enumerate(recipients)
    )
    Membership.objects.bulk_create(Membership(audience=made, contact=one) for one in contacts)
    return made
