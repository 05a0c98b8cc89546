"""9: a provider's API that is busy, fails, and takes a mail without saying so."""

import sys
from pathlib import Path

from bench.crash import provider
from bench.crash.faults import Extent, fault
from bench.crash.faults.peers import REFUSED, SENT, UNCERTAIN, expect_each, mix
from bench.crash.scene import PORT, Scene
from bench.stage import wait_for
from mailops.lib.secrets import Secret
from mailops.lib.supervisor import answers
from mailops.outbox.models import Status
from mailops.transports.credentials import add_credential
from mailops.transports.models import Transport

PATIENCE = 0.1  # of a minute for an answer
# SES knows no idempotency key, so only what was certainly not taken is sent again
FAULTY: dict[str, set[Status]] = {
    "api-429": SENT,
    "api-503": SENT,
    "api-400": REFUSED,
    "api-500": UNCERTAIN,
    "api-drop": UNCERTAIN,
    "api-storedand500": UNCERTAIN,
    "api-storedanddrop": UNCERTAIN,
    "api-storedandslow": UNCERTAIN,
}
WISHES = {"api-429"}  # to be sent less, through all of the transport
PROVIDER = Path(provider.__file__)


@fault("a provider's API that is busy, fails, and is silent after it took a mail", short=Extent(200, 1), long=Extent(2_000, 10), quick=True)  # fmt: skip
def faulty_provider(scene: Scene) -> None:
    scene.environment["MAILOPS_SMTP_PATIENCE"] = str(PATIENCE)
    early = scene.stage.logs / f"{scene.name}-early.log"
    early.unlink(missing_ok=True)
    scene.stage.start(
        "provider", sys.executable, "-IS", str(PROVIDER), str(PORT), str(scene.log), str(early)
    )
    wait_for(lambda: answers("127.0.0.1", PORT), "the provider to listen")
    scene.start_workers()
    stream = scene.make_stream(sessions=8)
    _make_provider(Transport.objects.get(routes__stream=stream))
    scene.launch(mix(scene, FAULTY, once=WISHES), stream=stream)
    scene.broke()
    scene.settle()
    expect_each(scene, FAULTY)
    again = early.read_text().split()
    scene.expect(f"sent again before the time it had asked for: {again}", holds=not again)


def _make_provider(transport: Transport) -> None:
    transport.kind, transport.host = Transport.Kind.SES, ""
    transport.options = {"region": "eu-west-1", "endpoint_url": f"http://127.0.0.1:{PORT}"}
    transport.save()
    add_credential(
        transport=transport, label="bench", username="bench", secret=Secret("bench"), actor=None
    )
