"""Sees that the database was restored from a backup, and lets nothing that may have left already leave by itself."""

import logging
from dataclasses import dataclass, field
from threading import Lock

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.audiences.models import Membership
from mailops.campaigns.models import Campaign
from mailops.dispatch.epochs import Remembered, epoch
from mailops.dispatch.models import Lineage, Worker
from mailops.lib.locks import session_lock
from mailops.outbox.bulk_settling import stop_settlements
from mailops.outbox.doubting import doubt_single_messages
from mailops.outbox.ledger import fetch_first
from mailops.outbox.models import QueueEntry
from mailops.outbox.resending import stop_resendings
from mailops.transports.models import PauseCause

logger = logging.getLogger(__name__)

LEAP = 10_000_000  # past all that any process may have drawn from a sequence without a trace here
SEQUENCES = (
    "outbox_fence",
    "outbox_message_id_seq",
    "outbox_event_id_seq",
    "dispatch_worker_id_seq",
)

_MAY_HAVE_SENT = (Campaign.State.RUNNING, Campaign.State.PAUSED)
LOOK_FIRST = (
    "The database was restored from a backup: look at what was sent since before you go on."
)


@dataclass
class Restored:
    """What was done about a restored database."""

    paused: dict[str, int] = field(default_factory=dict)  # campaign → messages that may go twice
    stale: list[str] = field(default_factory=list)  # campaigns whose start may have come already
    stopped: list[str] = field(default_factory=list)  # acts on many messages that were going on
    doubted: int = 0  # single messages that may have been sent since
    claims: int | None = None  # open in the backup or made since; None: nobody knows


def look(*, force: bool = False, actor: User | None = None) -> Restored | None:
    """Compare the database with this machine's file; act where it is behind, and return what was done.

    `force` acts without asking the file. Whoever sends calls this first, so nothing leaves before it is decided;
    of several processes one acts and the others wait for it.
    """
    with session_lock("dispatch.restoring", waits=True):
        lineage = _lineage()
        known = _known(lineage)
        remembered = epoch.file.remembered(str(lineage.id))
        (drawn,) = fetch_first("SELECT last_value FROM outbox_fence", [])
        is_behind = remembered.committed > known or remembered.claimed > drawn
        done = None
        if force or is_behind:
            done = _act(lineage, known, remembered, actor)
        epoch.begin(str(lineage.id), anew=done is not None)
    return done


class Memory:
    """What this process saw of the database last, by which one that lives through a restore looks before it sweeps.

    Its sweeps would give back what was claimed as the backup was made, and nobody could count that any more; and what was
    sent since would expire, as if it certainly were not there.
    """

    def __init__(self) -> None:
        self._fence = 0
        self._looking = Lock()

    def look_if_it_went_back(self) -> None:
        """Look where the rows know less than when this was asked last, or at first; other threads wait until that is done."""
        with self._looking:
            known = _known(_lineage())
            if known < self._fence or not epoch.lineage:
                look()
                known = _known(_lineage())
            self._fence = known


memory = Memory()  # of this process


def _lineage() -> Lineage:
    lineage, _ = Lineage.objects.get_or_create(is_the_one=True)
    return lineage


def _known(lineage: Lineage) -> int:
    """Return the highest fence that rows of the database know of; unlike sequences they go back with every backup."""
    workers = Worker.objects.aggregate(fence=Max("fence"))["fence"] or 0
    return max(workers, lineage.fence)


def _claims_since(known: int, remembered: Remembered) -> int | None:
    """Return the claims whose mail may have left after the backup: those made since, and those open in it."""
    if remembered.fence <= known:
        return None
    open_then = QueueEntry.objects.filter(worker_id__isnull=False, fence__lte=known).count()
    return remembered.fence - known + open_then


def _act(lineage: Lineage, known: int, remembered: Remembered, actor: User | None) -> Restored:
    done = Restored(claims=_claims_since(known, remembered))
    logger.error(
        "this database was restored from a backup (it knows of fence %d, %s of fence %d): "
        "running campaigns are paused and wait for a person",
        known,
        epoch.file.path,
        remembered.fence,
    )
    (fence, *_) = [_leap(name, remembered.fence) for name in SEQUENCES]
    # before the rest: what they queued already pauses with its campaign, or comes into doubt
    done.stopped = stop_settlements(LOOK_FIRST) + stop_resendings(LOOK_FIRST)
    for campaign in Campaign.objects.filter(state__in=_MAY_HAVE_SENT).order_by("pk"):
        _pause(campaign, done)
    for campaign in Campaign.objects.due_to_start().order_by("pk"):
        sentence = (
            "The database was restored from a backup, and this campaign's time had come by then: "
            "it may have been sent already."
        )
        if campaign.pause(PauseCause.STALE, sentence):
            done.stale.append(campaign.name)
    while doubted := doubt_single_messages():
        done.doubted += doubted
    # Last: until this is committed, whoever looks finds the database behind and goes on with what is left.
    with transaction.atomic():
        Lineage.objects.filter(pk=lineage.pk).update(fence=fence, restored_at=Now())
        audit(
            actor=actor,
            verb="database.restored",
            after={
                "campaigns": done.paused,
                "not started": done.stale,
                "stopped": done.stopped,
                "single messages": done.doubted,
                "claims since": done.claims,
            },
        )
    return done


def _leap(sequence: str, at_least: int) -> int:
    """Move a sequence past all that was drawn from it before the restore (W8), and return where it is now."""
    least = at_least if sequence == "outbox_fence" else 0
    (at,) = fetch_first(
        f"SELECT setval(%s, greatest(last_value, %s) + %s) FROM {sequence}",  # noqa: S608 - names of our own
        [sequence, least, LEAP],
    )
    return int(at)


def _pause(campaign: Campaign, done: Restored) -> None:
    unsent = QueueEntry.objects.filter(campaign=campaign, is_held=False).count() + _unread(campaign)
    if campaign.is_paused and not unsent:
        return
    # of one that waits since an earlier restore, nobody can tell how many left before that and how many after
    claims = None if campaign.was_restored else done.claims
    twice = unsent if claims is None else min(unsent, claims)
    sentence = (
        f"The database was restored from a backup: up to {twice:,} of the {unsent:,} messages that this campaign "
        "owes may have been sent already, and would be sent twice."
    )
    detail = (
        "Unsubscribes, bounces and changes since the backup are lost, too."
        if done.claims is None
        else f"{done.claims:,} claims were open in the backup or made since, over all campaigns and streams. "
        "Unsubscribes, bounces and changes since the backup are lost, too."
    )
    if campaign.is_paused and not campaign.was_restored:
        before = campaign.pause_sentence or campaign.get_pause_cause_display()
        detail += f" It was paused before: {before}"
    if campaign.pause(PauseCause.RESTORED, sentence, detail):
        done.paused[campaign.name] = twice


def _unread(campaign: Campaign) -> int:
    """Return how many of the audience have no message yet: they may have had one, under another name."""
    if campaign.expanded_at is not None:
        return 0
    rest = Membership.objects.filter(
        audience=campaign.audience_id, pk__gt=campaign.expansion_cursor
    )
    if campaign.expansion_end is not None:
        rest = rest.filter(pk__lte=campaign.expansion_end)
    return rest.count()
