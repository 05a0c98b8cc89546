"""Judges a fault by the receiver's log, the ledger and the shown numbers."""

from collections import Counter
from dataclasses import dataclass

from bench.crash.scene import Scene
from mailops.campaigns.models import Campaign
from mailops.outbox.models import OPEN_STATUSES, Message, QueueEntry, Status
from mailops.reports.balance import balance
from mailops.reports.folding import fold_tallies
from mailops.reports.verifying import differences

SENT = {Status.ACCEPTED, Status.DELIVERED}
NAMED = 3


@dataclass(frozen=True)
class Verdict:
    name: str
    recipients: int
    accepted: int  # mails in the receiver's log
    lost: int
    doubled: int
    uncertain: int
    bound: int
    resumed_in: float
    seconds: float
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    missing: str = ""  # what it was not played for
    may_miss: bool = False

    @property
    def is_ok(self) -> bool:
        if self.missing:
            return self.may_miss
        return not (self.lost or self.doubled or self.findings or self.uncertain > self.bound)

    @property
    def row(self) -> list[str]:
        numbers = (self.recipients, self.accepted, self.lost, self.doubled, self.uncertain)
        return [
            self.name,
            *(f"{number:,}" for number in numbers),
            f"{self.bound:,}",
            f"{self.resumed_in:.1f} s" if self.resumed_in else "",
            f"{self.seconds:.1f} s",
            self.word,
        ]

    @property
    def word(self) -> str:
        if self.missing:
            return "not played"
        return "ok" if self.is_ok else "BROKEN"

    @property
    def figures(self) -> dict[str, object]:
        return {
            "name": self.name,
            "recipients": self.recipients,
            "lost": self.lost,
            "doubled": self.doubled,
            "uncertain": self.uncertain,
            "bound": self.bound,
            "ok": self.is_ok,
        }


HEAD = ["fault", "recipients", "accepted", "lost", "doubled", "uncertain", "bound", "resumed", "recovered", ""]  # fmt: skip


def judge(scene: Scene, seconds: float) -> Verdict:
    messages = Message.objects.filter(campaign__in=scene.campaigns)
    statuses = dict(messages.values_list("recipient", "status"))
    taken = scene.witness.taken()
    lost = [one for one in scene.recipients if _is_lost(one, statuses, taken, scene)]
    doubled = {one: times - 1 for one, times in taken.items() if times > 1}
    uncertain = sum(status == Status.UNCERTAIN for status in statuses.values())
    findings = [
        *scene.findings,
        *_miscounted(scene, messages.count(), statuses),
        *_misjudged(scene, statuses, taken),
        *_unbalanced(scene),
    ]
    if lost:
        findings.append(f"lost: {_some(lost, statuses)}")
    if doubled:
        findings.append(f"doubled: {_some(list(doubled), statuses)}")
    return Verdict(
        name=scene.name,
        recipients=len(scene.recipients),
        accepted=taken.total(),
        lost=len(lost),
        doubled=sum(doubled.values()),
        uncertain=uncertain,
        bound=scene.bound,
        resumed_in=scene.resumed_in,
        seconds=seconds,
        findings=tuple(findings),
        notes=tuple(scene.notes),
    )


def excuse(scene: Scene, missing: str) -> Verdict:
    """Return the verdict on a fault that can't be played here: only a short run may do without it."""
    return Verdict(scene.name, 0, 0, 0, 0, 0, 0, 0, 0, (), (), missing, may_miss=scene.is_short)


def spoil(scene: Scene, why: str) -> Verdict:
    """Return the verdict on a fault of which nothing is known but that something went wrong."""
    size = len(scene.recipients)
    findings, notes = (*scene.findings, why), tuple(scene.notes)
    return Verdict(scene.name, size, 0, 0, 0, 0, scene.bound, 0, 0, findings, notes)


def _is_lost(recipient: str, statuses: dict[str, str], taken: Counter[str], scene: Scene) -> bool:
    """Tell whether nobody owes this recipient anything, and nothing arrived, and it is not said."""
    status = statuses.get(recipient)
    if status is None:
        return scene.ends_as == Campaign.State.COMPLETED
    is_stuck = status in OPEN_STATUSES and scene.ends_as != Campaign.State.PAUSED
    return is_stuck or (status in SENT and not taken[recipient])


def _miscounted(scene: Scene, rows: int, statuses: dict[str, str]) -> list[str]:
    """Expect one row with one of the statuses for each recipient, and none for anybody else."""
    findings = []
    if rows != len(statuses):
        findings.append(f"{rows} messages for {len(statuses)} recipients")
    if strangers := sorted(set(statuses) - set(scene.recipients)):
        findings.append(f"nobody asked to write to {_some(strangers, statuses)}")
    if unknown := set(statuses.values()) - set(Status.values):
        findings.append(f"statuses that nobody knows: {sorted(unknown)}")
    if len(set(scene.recipients)) != len(scene.recipients):
        findings.append("the fault itself wrote to somebody twice")
    return findings


def _misjudged(scene: Scene, statuses: dict[str, str], taken: Counter[str]) -> list[str]:
    """Name those whose mail was taken while mailops tells of something else than that, or doubt.

    Where all waits for a person, a message that is open is told of as one that may have been taken.
    """
    waits = scene.ends_as == Campaign.State.PAUSED
    allowed = {*SENT, Status.UNCERTAIN, *(OPEN_STATUSES if waits else ())}
    wrong = [one for one, status in statuses.items() if taken[one] and status not in allowed]
    return [f"taken, but told otherwise: {_some(wrong, statuses)}"] if wrong else []


def _unbalanced(scene: Scene) -> list[str]:
    """Compare planned, the rows, the shown numbers and a recount of everything."""
    while fold_tallies():
        pass
    findings = [f"the counts differ: {one}" for one in differences(limit=NAMED)]
    for campaign in scene.campaigns:
        campaign.refresh_from_db()
        rows = Counter(Message.objects.filter(campaign=campaign).values_list("status", flat=True))
        shown = balance(campaign)
        told = {status: n for status, n in shown.by_status.items() if n}
        if told != dict(rows):
            findings.append(f"the page shows {told}, the ledger {dict(rows)}")
        if campaign.expanded_at is not None and campaign.planned != rows.total():
            findings.append(f"planned {campaign.planned}, rows {rows.total()}")
        open_rows = sum(rows[status] for status in OPEN_STATUSES)
        entries = QueueEntry.objects.filter(campaign=campaign).count()
        if entries != open_rows:
            findings.append(f"{open_rows} open messages, {entries} entries in the queue")
    return findings


def _some(recipients: list[str], statuses: dict[str, str]) -> str:
    named = ", ".join(f"{one} ({statuses.get(one, 'no row')})" for one in recipients[:NAMED])
    return f"{named} and {len(recipients) - NAMED} more" if len(recipients) > NAMED else named
