"""A provider that tells everything at once, three times, with garbage in between."""

import hmac
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

from django.db.models import Count

from bench.crash import storm
from bench.crash.faults import Extent, fault
from bench.crash.faults.database import restart
from bench.crash.pages import Answer, Pages
from bench.crash.scene import WEB_PORT, Scene
from bench.processes import Usage, spent, usage_of
from mailops.feedback.models import RawFeedback, WebhookEndpoint
from mailops.lib.secrets import Secret
from mailops.outbox.models import Event, Message, Status
from mailops.outbox.tokens import envid
from mailops.suppressions.models import Suppression
from mailops.transports.models import Transport

STORM = Path(storm.__file__)
RATE, SLOW_RATE = 500, 60  # calls a second
CONNECTIONS = 64
TOLD = 3  # times that each event is told
GARBAGE = 0.01  # of all calls
COMPLAIN = 20  # one in so many messages is complained about instead of delivered
KEY = "storm-key-0123456789"
ANSWER_SECONDS, PAGE_SECONDS = 0.5, 1.0  # at the 99th and the 95th percentile
PAGES = ("/", "/messages/", "/feedback/", "/campaigns/")
LOOK_EVERY = 0.5
READ_WITHIN = 300.0
LEAST_TOLD = 0.005  # milliseconds of a call
SOURCE = RawFeedback.Source.MAILGUN
JUNK = (b"{", b"[]", b"null", b"\xff\xfe not text", b'{"signature": 3}', b"[" * 2000, b'{"signature": {"timestamp": "x", "token": "y", "signature": "z"}}')  # fmt: skip


@fault(
    "500 webhook calls a second, every event three times, 1 % of it garbage",
    short=Extent(330),
    long=Extent(9_900),
    quick=True,
)
def webhook_storm(scene: Scene) -> None:
    pages, messages = _send(scene)
    endpoint = _make_endpoint(scene)
    calls, junk = _calls(messages, endpoint)
    scene.broke()
    before = usage_of(scene.stage)
    _let_loose(scene, calls, RATE)
    looks = _look_meanwhile(scene, pages)
    told = _told(scene)
    _expect_quick(scene, told, looks)
    _await_reading(scene)
    _tell_what_it_cost(scene, before, told)
    _expect_once(scene, endpoint, messages, junk)


@fault(
    "webhook calls while the web is killed and PostgreSQL dies: the provider calls again",
    short=Extent(330),
    long=Extent(1_980),
)
def webhook_storm_broken(scene: Scene) -> None:
    pages, messages = _send(scene)
    endpoint = _make_endpoint(scene)
    calls, junk = _calls(messages, endpoint)
    _let_loose(scene, calls, SLOW_RATE)
    _wait_stored(scene, endpoint, len(messages) * 3 // 10)
    scene.kill("web")
    pages.serve()
    _wait_stored(scene, endpoint, len(messages) * 6 // 10)
    restart(scene)
    scene.broke()
    _look_meanwhile(scene, pages)
    told = _told(scene)
    scene.expect("nobody called again", holds=bool(told["failures"]))
    _await_reading(scene)
    _expect_once(scene, endpoint, messages, junk)


def _send(scene: Scene) -> tuple[Pages, list[Message]]:
    """Send what the provider will tell of."""
    scene.start_receiver(pace=0)
    scene.start_workers()
    campaign = scene.launch(sessions=8)
    scene.settle()
    found = Message.objects.filter(campaign=campaign, status=Status.ACCEPTED)
    pages = Pages(scene)
    for path in PAGES:  # what a web that has run for a while has read and compiled
        pages.ask(path)
    return pages, list(found)


def _wait_stored(scene: Scene, endpoint: WebhookEndpoint, wanted: int) -> None:
    rows = RawFeedback.objects.filter(transport=endpoint.transport)
    scene.wait(lambda: rows.count() >= wanted, f"{wanted} calls to be stored", 120)


def _make_endpoint(scene: Scene) -> WebhookEndpoint:
    transport = Transport.objects.create(name=f"{scene.name} provider", kind=Transport.Kind.MAILGUN)
    endpoint = WebhookEndpoint.objects.create(transport=transport)
    endpoint.seal_into("key", Secret(KEY))
    endpoint.save()
    return endpoint


def _calls(messages: list[Message], endpoint: WebhookEndpoint) -> tuple[list[bytes], int]:
    """Return the calls in the order they are made, a line each, and how much junk is to be archived."""
    path = f"/feedback/webhooks/{endpoint.secret}/"
    now = int(time.time())
    told = [f"{path}\t{_body(one, n, now)}".encode() for n, one in enumerate(messages)]
    garbage = round(len(messages) * TOLD * GARBAGE / (1 - GARBAGE) / 2)
    junk = [
        path.encode() + b"\t" * (1 + endpoint.pk) + b" " * n + JUNK[n % len(JUNK)]
        for n in range(garbage)
    ]
    lost = [b"/feedback/webhooks/nobody/\t{}"] * garbage
    calls = [*told * TOLD, *junk, *lost]
    random.shuffle(calls)
    return calls, len(junk)


def _body(message: Message, number: int, now: int) -> str:
    """Return what Mailgun tells of a message: delivered, or of some of them complained about."""
    token = f"{number:050}"
    signature = hmac.new(KEY.encode(), f"{now}{token}".encode(), "sha256").hexdigest()
    event = "delivered" if number % COMPLAIN else "complained"
    return json.dumps(
        {
            "signature": {"timestamp": str(now), "token": token, "signature": signature},
            "event-data": {
                "event": event,
                "id": f"{event}-{number}",
                "timestamp": now,
                "recipient": message.recipient,
                "message": {"headers": {"message-id": "storm", "to": message.recipient}},
                "user-variables": {
                    "mailops": envid(message.public_id, message.round, message.token_key_id)
                },
                "tags": [],
            },
        }
    )


def _let_loose(scene: Scene, calls: list[bytes], rate: int) -> None:
    """Have the calls made, at their rate, by a process of its own."""
    written, answers = _files(scene)
    written.write_bytes(b"\n".join(calls) + b"\n")
    answers.unlink(missing_ok=True)
    scene.stage.start(
        "storm", sys.executable, "-IS", str(STORM), str(WEB_PORT), str(written), str(rate),
        str(CONNECTIONS), str(answers),
    )  # fmt: skip


def _files(scene: Scene) -> tuple[Path, Path]:
    return scene.stage.logs / f"{scene.name}.calls", scene.stage.logs / f"{scene.name}.answers"


def _look_meanwhile(scene: Scene, pages: Pages) -> list[Answer]:
    """Look at pages until all calls were made."""
    looks: list[Answer] = []
    while scene.stage.processes["storm"].poll() is None:
        looks.append(pages.ask(PAGES[len(looks) % len(PAGES)]))
        time.sleep(LOOK_EVERY)
    del scene.stage.processes["storm"]
    return looks


def _told(scene: Scene) -> dict[str, Any]:
    """Return what the process that called says of the answers; each call has had one."""
    told: dict[str, Any] = json.loads(_files(scene)[1].read_text())
    scene.notes.append(
        f"{told['calls']:,} calls in {told['seconds']:.1f} s; answered in {told['median'] * 1000:.0f} ms"
        f" (median), {told['p99'] * 1000:.0f} ms (99 %), {told['longest'] * 1000:.0f} ms at the longest;"
        f" statuses {told['statuses']}, broken connections {sum(told['failures'].values())}"
    )
    scene.expect(f"{told['given_up']} calls got no answer", holds=not told["given_up"])
    return told


def _tell_what_it_cost(scene: Scene, before: dict[str, Usage], told: dict[str, Any]) -> None:
    """Note the processor time of each process for a call, from the first one on until all was read, pages included."""
    used = {**spent(before, usage_of(scene.stage)), "who calls": told["processor"]}
    each = sorted(
        ((seconds / told["calls"] * 1000, name) for name, seconds in used.items()), reverse=True
    )
    shown = ", ".join(f"{name} {ms:.2f}" for ms, name in each if ms >= LEAST_TOLD)
    scene.notes.append(
        f"processor time of a call, ms: {shown}; {sum(ms for ms, _ in each):.2f} in all"
    )


def _await_reading(scene: Scene) -> None:
    """Wait until the workers have read all of it, and note how long they took."""
    waiting = RawFeedback.objects.filter(source=SOURCE, state=RawFeedback.State.PENDING)
    scene.wait(lambda: not waiting.exists(), "the calls to be read", READ_WITHIN)
    scene.notes.append(f"all was read {time.monotonic() - scene.broken_at:.1f} s after it began")


def _expect_once(
    scene: Scene, endpoint: WebhookEndpoint, messages: list[Message], junk: int
) -> None:
    """Expect an event of each message and no more, each complaint suppressed, and the garbage in quarantine."""
    rows = RawFeedback.objects.filter(transport=endpoint.transport)
    states = dict(rows.values_list("state").annotate(Count("pk")))
    wanted = {"processed": len(messages), "quarantined": junk}
    scene.expect(f"archived {states} instead of {wanted}", holds=states == wanted)
    told = Event.objects.filter(source=SOURCE, message__in=[one.pk for one in messages])
    once = told.values("message").annotate(n=Count("pk"))
    lost, doubled = len(messages) - len(once), once.filter(n__gt=1).count()
    scene.expect(f"{lost} events were lost", holds=not lost)
    scene.expect(f"{doubled} messages have an event twice", holds=not doubled)
    complained = len(messages[::COMPLAIN])
    found = Suppression.objects.filter(
        reason=Suppression.Reason.COMPLAINT, address_key__in=[one.address_key for one in messages]
    ).count()
    scene.expect(
        f"{found} addresses were suppressed, {complained} complained", holds=found == complained
    )
    scene.notes.append(
        f"{len(messages):,} events, each told {TOLD} times, {junk} pieces of garbage"
    )


def _expect_quick(scene: Scene, told: dict[str, Any], looks: list[Answer]) -> None:
    # a short run shares its machine with a test run, whose load decides how long anything takes
    scene.expect(
        f"the 99th percentile of the answers was {told['p99']:.2f} s",
        holds=scene.is_short or told["p99"] < ANSWER_SECONDS,
    )
    wrong = [one for one in looks if one.status != 200]
    scene.expect(f"{len(wrong)} of {len(looks)} pages were no pages", holds=not wrong)
    took = sorted(one.seconds for one in looks)
    slow = took[len(took) * 95 // 100]
    scene.notes.append(
        f"{len(looks)} pages meanwhile: {took[len(took) // 2] * 1000:.0f} ms (median), {slow * 1000:.0f} ms (95 %)"
    )
    scene.expect(f"pages took {slow:.2f} s", holds=scene.is_short or slow < PAGE_SECONDS)
