"""Beside the list: what a transport logs in with is rotated, rolled back, refused and switched off while mail leaves."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from bench.crash.faults import Extent, fault
from bench.crash.scene import PORT, Scene, listens
from bench.stage import wait_for
from mailops.accounts.models import AuditEntry
from mailops.lib.secrets import Secret
from mailops.outbox.models import Event
from mailops.transports.credentials import add_credential
from mailops.transports.models import Credential, Transport
from mailops.transports.rotation import activate_credential, roll_back

RECEIVER = Path(__file__).parents[1] / "login_receiver.py"
OLD, NEW = "old-password-41d7", "new-password-9c02"
PACE = 0.01


@fault(
    "a credential is rotated, rolled back, refused and switched off",
    short=Extent(1_000),
    long=Extent(5_000),
)
def credential_rotated(scene: Scene) -> None:
    desk = Desk(scene)
    desk.open()
    scene.start_workers()
    stream = scene.make_stream()
    transport = stream.routes.get().transport
    transport.security, transport.messages_per_session = Transport.Security.TLS, 100
    transport.save()
    rotation = Rotation(scene, desk, transport)
    scene.launch(stream=stream)
    for number, act in enumerate(rotation.acts, start=1):
        scene.wait_taken(scene.size * number // (len(rotation.acts) + 1), seconds=300)
        act()
    scene.broke()
    scene.wait_resumed()
    scene.settle()
    _judge(scene, desk, transport)


class Rotation:
    """What happens to the two credentials, act by act."""

    def __init__(self, scene: Scene, desk: "Desk", transport: Transport) -> None:
        self._scene, self._desk, self._transport = scene, desk, transport
        self._old, self._new = _add(transport, "Old", OLD), _add(transport, "New", NEW)
        self.acts = (
            self._rotate,
            self._switch_off_the_old,
            self._roll_back,
            self._rotate_too_early,
            self._rotate_at_once,
        )

    def _rotate(self) -> None:
        activate_credential(credential=self._new, actor=None)

    def _switch_off_the_old(self) -> None:
        # sessions that still speak with the old one are told so in the middle
        self._desk.knows(NEW)

    def _roll_back(self) -> None:
        self._desk.knows(OLD, NEW)
        roll_back(transport=self._transport, actor=None)

    def _rotate_too_early(self) -> None:
        # so the first log-in with the new one is refused, and mailops goes back
        self._desk.knows(OLD)
        activate_credential(credential=self._new, actor=None)
        old = Credential.objects.filter(pk=self._old.pk, is_active=True)
        self._scene.wait(old.exists, "the old one to be in use again")

    def _rotate_at_once(self) -> None:
        self._desk.knows(NEW)  # the old one is gone in the same moment
        activate_credential(credential=self._new, actor=None)


class Desk:
    """The receiver, and the passwords that it knows."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._passwords = scene.stage.logs / f"{scene.name}.passwords"

    def open(self) -> None:
        certificate = self._scene.stage.logs / f"{self._scene.name}.pem"
        subprocess.run(
            [
                self._scene.program("openssl", "openssl"), "req", "-x509", "-newkey", "ec",
                "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                "-keyout", str(certificate), "-out", f"{certificate}.crt",
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        with certificate.open("a") as both:
            both.write(Path(f"{certificate}.crt").read_text())
        self._scene.environment["MAILOPS_EXTRA_CA_FILE"] = f"{certificate}.crt"
        self.knows(OLD, NEW)
        Path(f"{self._scene.log}.log-ins").unlink(missing_ok=True)
        self._scene.stage.start(
            "receiver", sys.executable, "-IS", str(RECEIVER), str(PORT), str(self._scene.log),
            str(PACE), str(certificate), str(self._passwords),
        )  # fmt: skip
        wait_for(lambda: listens(PORT), "the receiver to listen")

    def knows(self, *passwords: str) -> None:
        """Let in these and no others, from the next command on."""
        beside = self._passwords.with_suffix(".new")
        beside.write_text("\n".join(passwords))
        beside.replace(self._passwords)

    def log_ins(self) -> Counter[tuple[str, bool]]:
        lines = Path(f"{self._scene.log}.log-ins").read_text().splitlines()
        told = (json.loads(line) for line in lines)
        return Counter((one["password"], one["was_let_in"]) for one in told)


def _add(transport: Transport, label: str, password: str) -> Credential:
    return add_credential(
        transport=transport, label=label, username="u", secret=Secret(password), actor=None
    )


def _judge(scene: Scene, desk: Desk, transport: Transport) -> None:
    log_ins = desk.log_ins()
    campaigns = [campaign.pk for campaign in scene.campaigns]
    kinds = Event.objects.filter(message__campaign__in=campaigns).values_list("kind", flat=True)
    told = Counter(kinds)
    verbs = set(
        AuditEntry.objects.filter(subject_label__contains=str(transport)).values_list(
            "verb", flat=True
        )
    )
    refused = sum(n for (_, was_let_in), n in log_ins.items() if not was_let_in)
    scene.expect(f"messages heard of it: {dict(told)}", holds=set(told) == {"accepted"})
    scene.expect("no log-in was refused, so nothing was played", holds=refused > 0)
    scene.expect("nothing fell back to the old one", holds="credential.fall_back" in verbs)
    stopped = verbs & {"transport.pause", "transport.breaker_open"}
    scene.expect(f"the transport stopped: {stopped}", holds=not stopped)
    active = transport.credentials.get(is_active=True)
    scene.expect(f"{active.label} is in use in the end", holds=active.label == "New")
    scene.notes.append(
        f"{log_ins[OLD, True]} sessions logged in with the old one, {log_ins[NEW, True]} with the"
        f" new one; {refused} log-ins were refused, and no message heard of it"
    )
