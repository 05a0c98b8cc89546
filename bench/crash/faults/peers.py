"""7 and 8: servers that refuse, drop and stall, in each phase."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import zip_longest
from socket import create_server, socket

from bench.crash.faults import Extent, fault
from bench.crash.receiver import REPLIES
from bench.crash.scene import MORE_PORTS, PACE, PORT, SECOND_PORT, Scene
from mailops.campaigns.models import Campaign
from mailops.outbox.models import Message, Status
from mailops.transports.models import Transport

DEAD_PORT = MORE_PORTS[3]

SENT, REFUSED, UNCERTAIN = {Status.ACCEPTED}, {Status.BOUNCED, Status.FAILED}, {Status.UNCERTAIN}

# what a recipient draws once, and what may become of it
FAULTY: dict[str, set[Status]] = {
    **{f"{phase}-{action}": SENT for phase in ("mail", "rcpt", "data", "body") for action in ("421", "451")},
    **{f"{phase}-drop": SENT for phase in ("mail", "rcpt", "data")},
    **{f"{phase}-reset": SENT for phase in ("mail", "rcpt", "data")},
    **{f"{phase}-{action}": REFUSED for phase in ("rcpt", "data", "body") for action in ("550", "554")},
    "rcpt-long": REFUSED,  # a NUL, and more text than any reply may have
    **{f"body-{action}": UNCERTAIN for action in ("drop", "reset")},
    **{f"taken-{action}": UNCERTAIN for action in ("drop", "reset")},
    "content-drop": UNCERTAIN | SENT,  # sent again where the drop came before the last octet had left
    **{f"replied-{action}": SENT for action in ("drop", "reset")},
}  # fmt: skip
SESSIONS_FAULTY = ("banner:421", "ehlo:drop", "quit:drop", "banner:drop", "ehlo:421")
SHORT_SESSIONS_FAULTY = 2  # the breaker waits ever longer

PATIENCE = 0.02  # of RFC 5321's times: 6 s for a banner or RCPT, 12 s for the dot
STALLING: dict[str, set[Status]] = {
    **{f"{phase}-stall": SENT for phase in ("mail", "rcpt", "data")},
    "content-stall": UNCERTAIN,
    "body-stall": UNCERTAIN,
    "taken-stall": UNCERTAIN,
    "taken-after6": SENT,  # before its time is up
    "taken-after20": UNCERTAIN,  # after it
}


@fault("a server that refuses and drops in each phase", short=Extent(500, 1), long=Extent(2_000, 5))  # fmt: skip
def faulty_server(scene: Scene) -> None:
    faulty = SHORT_SESSIONS_FAULTY if scene.is_short else len(SESSIONS_FAULTY)
    scene.start_receiver(*SESSIONS_FAULTY[:faulty], pace=PACE / 3)
    scene.start_workers()
    scene.launch(mix(scene, FAULTY))
    scene.broke()
    scene.settle()
    expect_each(scene, FAULTY)


@fault("a server that stalls in each phase, a dead one, and one that works", short=Extent(200, 1), long=Extent(1_000, 3))  # fmt: skip
def stalling_server(scene: Scene) -> None:
    scene.environment["MAILOPS_SMTP_PATIENCE"] = str(PATIENCE)
    scene.start_receiver("banner:stall", "ehlo:stall", pace=PACE / 5)
    scene.start_receiver(port=SECOND_PORT, name="receiver2", pace=PACE / 5)
    with _half_open():
        scene.start_workers()
        slow = scene.launch(mix(scene, STALLING), port=PORT)
        dead = scene.launch(scene.good(scene.size // 10), port=DEAD_PORT)
        quick = scene.launch(scene.good(scene.size), port=SECOND_PORT)
        transport = Transport.objects.filter(routes__stream=dead.stream, failures__gt=0)
        scene.wait(transport.exists, "the dead server to be found out")
    scene.start_receiver(port=DEAD_PORT, name="receiver3", pace=PACE / 5)
    scene.broke()
    scene.settle()
    expect_each(scene, STALLING)
    _expect_flow(scene, quick, slow)


@contextmanager
def _half_open() -> Iterator[None]:
    """Keep a listener whose queue is full: who connects gets no answer at all, as from a host that is gone."""
    with create_server(("127.0.0.1", DEAD_PORT), backlog=0), ExitStack() as kept:
        for _ in range(4):
            client = kept.enter_context(socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", DEAD_PORT))
        yield


def _expect_flow(scene: Scene, quick: Campaign, slow: Campaign) -> None:
    quick.refresh_from_db()
    slow.refresh_from_db()
    if quick.finished_at is None or slow.finished_at is None or quick.started_at is None:
        return
    seconds = (quick.finished_at - quick.started_at).total_seconds()
    scene.notes.append(f"the other stream's {scene.size} were sent in {seconds:.1f} s beside it")
    scene.expect("the stalls held up the other stream", holds=quick.finished_at < slow.finished_at)


def mix(
    scene: Scene, behaviors: Mapping[str, set[Status]], *, once: Collection[str] = ()
) -> list[str]:
    """Return the faulty ones, strewn evenly over good ones, and set the bound.

    Those of `once` come one time only: where a server wishes again and again to be sent less, whatever it is sent, mail
    rightly leaves ever more slowly.
    """
    drawn = [scene.drawing(each, 1 if each in once else scene.times) for each in behaviors]
    rounds = zip_longest(*drawn)
    faulty = [one for each in rounds for one in each if one is not None]
    good = scene.good(scene.size - len(faulty))
    step = len(good) // len(faulty)
    groups = [good[at : at + step] for at in range(0, len(good), step)]
    scene.bound += sum(Status.UNCERTAIN in allowed for allowed in behaviors.values()) * scene.times
    alone = [[one] for one in faulty]
    parts: Iterable[tuple[list[str], list[str]]] = zip_longest(groups, alone, fillvalue=[])
    return [one for group, bad in parts for one in (*group, *bad)]


def expect_each(scene: Scene, behaviors: Mapping[str, set[Status]]) -> None:
    """Expect of each recipient what its behavior allows, with the reply as it was said."""
    statuses: dict[str, Counter[str]] = defaultdict(Counter)
    for message in Message.objects.filter(campaign__in=scene.campaigns):
        behavior = message.recipient.partition(".")[0]
        allowed = behaviors.get(behavior, SENT)
        if message.status not in allowed:
            statuses[behavior][
                f"{message.status} ({message.reason} {message.reply_line[:60]})"
            ] += 1
        said = REPLIES.get(behavior.partition("-")[2], "")
        if message.status in REFUSED and said[:40] not in message.reply_line:
            scene.findings.append(f"{behavior}: the reply kept is {message.reply_line[:60]!r}")
    for behavior, wrong in statuses.items():
        scene.findings.append(f"{behavior}: {dict(wrong)}")
