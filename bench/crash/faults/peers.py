"""7 and 8: servers that refuse, drop and stall, in each phase."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain, zip_longest

from bench.crash.faults import Extent, fault
from bench.crash.receiver import REPLIES
from bench.crash.scene import PACE, PORT, SECOND_PORT, Scene
from mailops.outbox.models import Message, Status

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
    "content-drop": UNCERTAIN,
    **{f"replied-{action}": SENT for action in ("drop", "reset")},
}  # fmt: skip
SESSIONS_FAULTY = ("banner:421", "banner:drop", "ehlo:421", "ehlo:drop", "quit:drop")

PATIENCE = 0.005  # of RFC 5321's times: 1.5 s for a banner or RCPT, 3 s for the dot
STALLING: dict[str, set[Status]] = {
    **{f"{phase}-stall": SENT for phase in ("mail", "rcpt", "data")},
    "body-stall": UNCERTAIN,
    "taken-stall": UNCERTAIN,
    "taken-after2": SENT,  # just in time
    "taken-after4": UNCERTAIN,  # too late
}


@fault("a server that refuses and drops in each phase", short=Extent(1_000, 3), long=Extent(10_000, 30))  # fmt: skip
def faulty_server(scene: Scene) -> None:
    scene.start_receiver(*SESSIONS_FAULTY, pace=PACE / 5)
    scene.start_workers()
    scene.launch(_mixed(scene, FAULTY))
    scene.broke()
    scene.settle()
    _expect_each(scene, FAULTY)


@fault("a server that stalls in each phase, beside one that works", short=Extent(500, 2), long=Extent(5_000, 10))  # fmt: skip
def stalling_server(scene: Scene) -> None:
    scene.environment["MAILOPS_SMTP_PATIENCE"] = str(PATIENCE)
    scene.start_receiver("banner:stall", "ehlo:stall", pace=PACE / 5)
    scene.start_receiver(port=SECOND_PORT, name="receiver2", pace=PACE / 5)
    scene.start_workers()
    slow = scene.launch(_mixed(scene, STALLING), port=PORT)
    quick = scene.launch(scene.good(scene.size), port=SECOND_PORT)
    scene.broke()
    scene.settle()
    _expect_each(scene, STALLING)
    for campaign in (slow, quick):
        campaign.refresh_from_db()
    if quick.finished_at is None or slow.finished_at is None or quick.started_at is None:
        return
    seconds = (quick.finished_at - quick.started_at).total_seconds()
    scene.notes.append(f"the other stream's {scene.size} were sent in {seconds:.1f} s beside it")
    scene.expect("the stalls held up the other stream", holds=quick.finished_at < slow.finished_at)


def _mixed(scene: Scene, behaviors: Iterable[str]) -> list[str]:
    """Return the faulty ones, strewn evenly over good ones, and set the bound."""
    drawn = [scene.drawing(behavior, scene.times) for behavior in behaviors]
    faulty = list(chain.from_iterable(zip(*drawn, strict=True)))
    good = scene.good(scene.size - len(faulty))
    step = len(good) // len(faulty)
    groups = [good[at : at + step] for at in range(0, len(good), step)]
    table = {**FAULTY, **STALLING}
    scene.bound = sum(table[one] == UNCERTAIN for one in behaviors) * scene.times
    alone = [[one] for one in faulty]
    parts: Iterable[tuple[list[str], list[str]]] = zip_longest(groups, alone, fillvalue=[])
    return [one for group, bad in parts for one in (*group, *bad)]


def _expect_each(scene: Scene, behaviors: Mapping[str, set[Status]]) -> None:
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
