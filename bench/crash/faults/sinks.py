"""7: Postfix's smtp-sink with each of its faults in each phase."""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.crash.faults import Extent, fault
from bench.crash.faults.peers import REFUSED, SENT, UNCERTAIN
from bench.crash.scene import BULK, MORE_PORTS, Scene
from bench.receivers import Dump, start_sink
from mailops.campaigns.models import Campaign
from mailops.outbox.models import Event, EventKind, Message, Status
from mailops.transports.models import RunState, Transport

PORTS = MORE_PORTS[4:]
PHASES = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", ".", "QUIT")
# smtp-sink's options, and the words it says then
DROP, GOODBYE, SOFT, HARD = "-q", "-Q", "-r", "-f"
SAYS = {SOFT: "4.3.0 Error: command failed", HARD: "5.3.0 Error: command failed"}
TROUBLE = (
    EventKind.SESSION_LOST, EventKind.DEFERRED, EventKind.UNCERTAIN, EventKind.BOUNCED, EventKind.FAILED,
)  # fmt: skip


@dataclass(frozen=True)
class Mode:
    """One fault of smtp-sink in one phase, on a port of its own, and what may become of its recipients."""

    option: str
    phase: str
    port: int

    @property
    def name(self) -> str:
        action = {DROP: "drop", GOODBYE: "421", SOFT: "soft", HARD: "hard"}[self.option]
        return f"{action}-{'dot' if self.phase == '.' else self.phase.lower()}"

    @property
    def allowed(self) -> set[Status]:
        """What those may be that met the fault; the others find a sink that works."""
        doubted = UNCERTAIN if self.most_doubted(1) else set()
        if self.option == HARD and self.phase in {"RCPT", "DATA", "."}:
            return SENT | REFUSED | doubted
        return SENT | doubted

    def most_doubted(self, size: int) -> int:
        """Return how many of `size` may end uncertain: all whose dot is dropped; and what a sink hears as it is replaced."""
        if self.phase == "." and self.option == DROP:
            return size
        return len(BULK) if self.phase == "." or self.takes_mail else 0

    @property
    def needs_a_person(self) -> bool:
        """Whether the transport stops until somebody resumes it: before RCPT a refusal for good is about us."""
        return (self.option, self.phase) == (HARD, "MAIL")

    @property
    def takes_mail(self) -> bool:
        """Whether mail gets through in spite of it: a QUIT is too late, and after EHLO there is HELO."""
        return self.phase == "QUIT" or (self.option, self.phase) == (HARD, "EHLO")


def modes() -> Iterator[Mode]:
    ports = iter(PORTS)
    for option in (DROP, GOODBYE, SOFT, HARD):
        for phase in PHASES:
            yield Mode(option, phase, next(ports))


@fault("smtp-sink with each of its faults in each phase", short=Extent(10), long=Extent(40))
def faulty_sinks(scene: Scene) -> None:
    """Play `size` recipients for each of the modes, all at once; then the sinks are replaced by ones that work."""
    program = scene.program("smtp-sink", "postfix")
    playing = {mode: Dump() for mode in modes()}
    try:
        for mode, dump in playing.items():
            keeping = dump if mode.takes_mail else None
            _start(scene, program, mode, mode.option, mode.phase, dump=keeping)
        scene.start_workers()
        campaigns = {mode: _launch(scene, mode) for mode in playing}
        scene.bound = sum(mode.most_doubted(scene.size) for mode in playing)
        waiting = dict(campaigns)
        while waiting:
            # at once, since a transport whose sessions fail waits ever longer
            met = scene.wait(lambda: _those_that_met(waiting), "each sink to do what it should")
            for mode in met or ():
                scene.stage.stop(f"sink-{mode.name}")
                _start(scene, program, mode, dump=playing[mode])
                if mode.needs_a_person:
                    _resume(scene, campaigns[mode])
                del waiting[mode]
        scene.broke()
        scene.settle()
        for mode, dump in playing.items():
            if dump.file.exists():
                scene.witness.transcribe(recipient for recipient, _ in dump.read())
            _expect(scene, mode, campaigns[mode])
    finally:
        for dump in playing.values():
            dump.close()


def _start(scene: Scene, program: str, mode: Mode, *faults: str, dump: Dump | None) -> None:
    file = dump.file if dump else None
    start_sink(scene.stage, f"sink-{mode.name}", mode.port, *faults, path=program, dump=file)


def _launch(scene: Scene, mode: Mode) -> Campaign:
    return scene.launch(scene.drawing(mode.name, scene.size), port=mode.port, sessions=1)


def _those_that_met(waiting: dict[Mode, Campaign]) -> list[Mode]:
    return [mode for mode, campaign in waiting.items() if _has_met(mode, campaign)]


def _has_met(mode: Mode, campaign: Campaign) -> bool:
    if mode.takes_mail:
        return Message.objects.filter(campaign=campaign, status=Status.ACCEPTED).exists()
    met = Event.objects.filter(message__campaign=campaign, kind__in=TROUBLE)
    transports = Transport.objects.filter(routes__stream=campaign.stream)
    if mode.needs_a_person:
        return transports.filter(state=RunState.PAUSED).exists()
    return met.exists() or transports.filter(failures__gt=0).exists()


def _resume(scene: Scene, campaign: Campaign) -> None:
    """Do what a person does, after the pause was found to tell the reply and to cost nobody anything."""
    transport = Transport.objects.get(routes__stream=campaign.stream)
    told = transport.pause_detail
    scene.expect(f"the pause tells {told!r}", holds=SAYS[HARD] in told)
    charged = Event.objects.filter(message__campaign=campaign, kind__in=TROUBLE).count()
    scene.expect(f"a refusal of ours was charged to {charged} messages", holds=not charged)
    transport.resume(actor=scene.person())


def _expect(scene: Scene, mode: Mode, campaign: Campaign) -> None:
    for message in Message.objects.filter(campaign=campaign):
        if message.status not in mode.allowed:
            scene.findings.append(
                f"{mode.name}: {message.status} ({message.reason}) {message.reply_line[:80]}"
            )
        if message.status in REFUSED and SAYS[HARD] not in message.reply_line:
            scene.findings.append(f"{mode.name}: the reply kept is {message.reply_line[:80]!r}")
