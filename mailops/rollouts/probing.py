"""Proves the items of a checklist, and says which of them hold."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.rollouts.captured import in_use, versions_sent
from mailops.rollouts.models import (
    UNPROVEN,
    UNSIGNED,
    Checklist,
    ChecklistItem,
    Evidence,
    StateChange,
)
from mailops.rollouts.probes import PROBES
from mailops.rollouts.probes.proof import Proof
from mailops.transports.models import Stream

State = ChecklistItem.State
WORST_FIRST = (State.FAILED, State.MISSING, State.STALE, State.HOLDS)
PROBE_AGAIN = timedelta(hours=6)  # well within the 24 hours that most proofs last
PROBE_FAILED_AGAIN = timedelta(minutes=15)  # somebody may be mending it
PROBE_UNKNOWN_AGAIN = timedelta(minutes=2)  # a receiver or a name server was away
TWO_PRESSES = timedelta(minutes=1)  # the same note again within it is one signature


def checklists_of(stream: Stream) -> list[Checklist]:
    """Return both lists of `stream` on its present domain, making those that aren't there yet."""
    return [_ensure(stream, plan) for plan in Checklist.Plan.values]


def _ensure(stream: Stream, plan: str) -> Checklist:
    with transaction.atomic():
        checklist, is_new = Checklist.objects.get_or_create(
            stream=stream, domain=stream.domain, plan=plan
        )
        if is_new:
            ChecklistItem.objects.bulk_create(unproven_items(checklist))
    return checklist


def unproven_items(checklist: Checklist) -> list[ChecklistItem]:
    """Return the items that a new list begins with, not saved."""
    return [
        ChecklistItem(
            checklist=checklist,
            number=item.number,
            sentence=UNPROVEN if item.probe else UNSIGNED,
            fix="Press “Probe now”." if item.probe else item.to_sign,
        )
        for item in checklist.asked
    ]


def make_missing() -> None:
    """Make the lists of streams that lack one on their present domain."""
    theirs = Checklist.objects.filter(stream=OuterRef("pk"), domain=OuterRef("domain"))
    whole = [Exists(theirs.filter(plan=plan)) for plan in Checklist.Plan.values]
    for stream in Stream.objects.select_related("domain").exclude(*whole):
        checklists_of(stream)


def settle_all() -> None:
    """Settle the lists of today: what has expired, or is of another version, holds no more."""
    for pk in Checklist.objects.current().values_list("pk", flat=True):
        with transaction.atomic():
            # one that is being probed or signed is settled by that
            locked = Checklist.objects.select_for_update(of=("self",), skip_locked=True)
            if checklist := locked.select_related("stream__domain").filter(pk=pk).first():
                settle(checklist, keeps_words=True)


class MovedOn(Exception):
    """The stream sends from another domain by now, so the list is history; the text says so."""


def _expect_current(checklist: Checklist, undone: str) -> None:
    if not checklist.is_current:
        raise MovedOn(
            f"{undone}: {checklist.stream} sends from {checklist.stream.domain} by now, and this is its list on "
            f"{checklist.domain}, kept as history. Go on with its present list."
        )


def probe(checklist: Checklist, *, actor: User | None = None) -> Checklist:
    """Run every probe of `checklist` now, keep what they found, and settle its items.

    Raise MovedOn where it is of a domain that its stream left.
    """
    stream = Stream.objects.select_related("domain", "owner").get(pk=checklist.stream_id)
    checklist.stream = stream
    _expect_current(checklist, "It was not probed")
    proofs = {
        item.number: PROBES[item.probe](stream)  # speaks to the network: outside any transaction
        for item in checklist.asked
        if item.probe
    }
    with transaction.atomic():
        locked = Checklist.objects.select_for_update().get(pk=checklist.pk)
        _expect_current(locked, "What it found was not kept")
        items = {item.number: item for item in _items(locked)}
        for number, proof in proofs.items():
            _keep(items[number], proof)
        settle(locked, unproven=proofs)
        now = timezone.now()
        locked.probed_at, locked.next_probe_at = now, now + _wait(proofs.values())
        locked.save(update_fields=["probed_at", "next_probe_at"])
        if actor:
            audit(actor=actor, verb="checklist.probe", subject=locked, after=summary(locked))
    return locked


def _wait(proofs: Iterable[Proof]) -> timedelta:
    answers = {proof.is_ok for proof in proofs}
    if None in answers:
        return PROBE_UNKNOWN_AGAIN
    return PROBE_FAILED_AGAIN if False in answers else PROBE_AGAIN


def _items(checklist: Checklist) -> list[ChecklistItem]:
    items = list(checklist.items.order_by("number"))
    for item in items:
        item.checklist = checklist
    return items


def summary(checklist: Checklist) -> dict[str, str]:
    """Return the state of each item, for the audit trail."""
    return {str(item.number): item.state for item in _items(checklist)}


def _keep(item: ChecklistItem, proof: Proof) -> None:
    """Write what a probe found; the same finding again only renews the last one."""
    if proof.is_ok is None:
        return
    now, lasts = timezone.now(), item.asked.proof_lasts
    expires_at = now + lasts if lasts else None
    newest = item.evidence.exclude(probe="").order_by("-last_at", "-id").first()
    versions, failing = sorted(proof.versions), sorted(proof.failing)
    if (
        newest
        and (newest.is_ok, newest.sentence, newest.versions, newest.failing)
        == (proof.is_ok, proof.sentence, versions, failing)
        and not newest.is_expired(now)
    ):
        newest.last_at, newest.expires_at, newest.data = now, expires_at, proof.data
        newest.save(update_fields=["last_at", "expires_at", "data"])
        return
    Evidence.objects.create(
        item=item,
        at=now,
        last_at=now,
        expires_at=expires_at,
        is_ok=proof.is_ok,
        sentence=proof.sentence,
        fix=proof.fix,
        data=proof.data,
        probe=item.asked.probe,
        versions=versions,
        failing=failing,
    )


def settle(
    checklist: Checklist, *, unproven: dict[int, Proof] | None = None, keeps_words: bool = False
) -> None:
    """Work out the state of each item from its evidence, by the clock; asks no network.

    `unproven` are the proofs just tried, whose sentences say why nothing could be found out. Who tried none
    `keeps_words` of items whose state stays: the last probe's say more.
    """
    now, versions = timezone.now(), versions_sent(checklist.stream)
    changed = []
    items = _items(checklist)
    for item in items:
        proof = (unproven or {}).get(item.number)
        before, told = item.state, (item.state, item.sentence, item.fix)
        found = _judge(item, proof, versions, now)
        if found == told or (keeps_words and found[0] == before):
            continue
        item.state, item.sentence, item.fix = found
        if before != item.state:
            item.since_at = now
            changed.append(
                f"{item.number} {item.title}: {State(before).label} → {State(item.state).label}"
            )
        item.save(update_fields=["state", "sentence", "fix", "since_at"])
    if changed:
        StateChange.objects.create(
            checklist=checklist,
            at=now,
            holding=sum(item.holds for item in items),
            total=len(items),
            sentence="; ".join(changed),
        )


def lacking(stream: Stream, version_id: int) -> list[ChecklistItem]:
    """Return the items of the production checklist that do not hold for mail of one version, judged by it alone and not saved.

    The versions of the stream's other campaigns and drafts, proven or not, are no concern of it. Of a list that is not
    made yet none holds.
    """
    checklist = Checklist.objects.production_of(stream)
    if checklist is None:
        plan = Checklist.Plan.PRODUCTION
        return unproven_items(Checklist(stream=stream, domain=stream.domain, plan=plan))
    now, items = timezone.now(), _items(checklist)
    for item in items:
        item.state, item.sentence, item.fix = _judge(item, None, [version_id], now)
    return [item for item in items if not item.holds]


Verdict = tuple[str, str, str]  # state, sentence, fix


def _judge(item: ChecklistItem, proof: Proof | None, versions: list[int], now: datetime) -> Verdict:
    """Return the worst of what the probe and the signature say, of those that the item asks for."""
    verdicts: list[Verdict] = []
    if item.asked.probe:
        newest = item.evidence.exclude(probe="").order_by("-last_at", "-id").first()
        verdicts.append(_of_probe(item, newest, proof, versions, now))
    if item.asked.signed_for is not None:
        newest = item.evidence.filter(probe="").order_by("-last_at", "-id").first()
        verdicts.append(_of_signature(item, newest, versions, now))
    return min(verdicts, key=lambda verdict: WORST_FIRST.index(State(verdict[0])))


def _of_probe(
    item: ChecklistItem,
    newest: Evidence | None,
    proof: Proof | None,
    versions: list[int],
    now: datetime,
) -> Verdict:
    why, fix = (proof.sentence, proof.fix) if proof else ("", "Press “Probe now”.")
    if newest is None:
        return State.MISSING, why or UNPROVEN, fix
    if item.asked.by_version and not set(versions) <= set(newest.versions):
        return State.STALE, f"Another version is in use now. {why}".strip(), fix
    if newest.is_expired(now):
        return State.STALE, f"The proof is too old. {why}".strip(), fix
    if newest.is_ok or not newest.is_ok_for(versions):
        return (State.HOLDS if newest.is_ok else State.FAILED), newest.sentence, newest.fix
    return State.HOLDS, f"It holds for what is sent, not for a draft: {newest.sentence}", newest.fix


def _of_signature(
    item: ChecklistItem, newest: Evidence | None, versions: list[int], now: datetime
) -> Verdict:
    if newest is None:
        return State.MISSING, UNSIGNED, item.asked.to_sign
    if item.asked.by_version and not set(versions) <= set(newest.versions):
        return State.STALE, "Another version is in use now.", item.asked.to_sign
    if newest.is_expired(now):
        return State.STALE, "The signature has expired.", item.asked.to_sign
    return State.HOLDS, newest.sentence, ""


class AnotherInUse(Exception):
    """A version came into use that the person didn't see; the text says so."""


class NoneInUse(Exception):
    """There is no version that the signature would be for; the text says so."""


def sign(
    item: ChecklistItem,
    *,
    actor: User,
    note: str,
    lasts: timedelta,
    seen: Collection[int] | None = None,
) -> Evidence:
    """Let a person stand for `item`, no longer than the item allows.

    Whoever signs on a page gives the ids of the versions `seen` there: raise AnotherInUse where one more is in use.
    Raise NoneInUse where there is none to look at, and MovedOn where the list is of a domain that its stream left.
    """
    longest = item.asked.signed_for
    assert longest is not None, "this item is proven by its probe alone"
    with transaction.atomic():
        checklist = Checklist.objects.select_for_update().get(pk=item.checklist_id)
        _expect_current(checklist, "It was not signed")
        sentence = f"Signed by {actor}: {note}"
        pressed = item.evidence.filter(
            signed_by=actor, sentence=sentence, at__gt=Now() - TWO_PRESSES
        )
        if first := pressed.first():
            return first
        versions = sorted(use.version.pk for use in in_use(checklist.stream))
        if item.asked.by_version and not versions:
            raise NoneInUse(
                f"It was not signed: {checklist.stream} uses no template yet. Make a campaign, look at its version, then "
                "sign."
            )
        if item.asked.by_version and seen is not None and not set(versions) <= set(seen):
            raise AnotherInUse(
                "It was not signed: another version came into use while the page stood open. See above what you sign "
                "for now, look at that, too, then sign again."
            )
        evidence = Evidence.objects.create(
            item=item,
            expires_at=timezone.now() + min(lasts, longest),
            is_ok=True,
            sentence=sentence,
            signed_by=actor,
            signed_label=actor.email,
            versions=versions,
        )
        settle(checklist)
        audit(
            actor=actor,
            verb="checklist.sign",
            subject=checklist,
            after={"item": str(item), "until": str(evidence.expires_at)},
            reason=note,
        )
    return evidence


def probe_due(*, until: datetime) -> int:
    """Probe the lists whose time has come, the longest due first, until `until`; return how many."""
    probed = 0
    while timezone.now() < until:
        due = Checklist.objects.current().filter(next_probe_at__lte=Now())
        checklist = due.order_by("next_probe_at").first()
        if checklist is None:
            break
        # set ahead first: a probe that fails for a reason of its own must not keep the others waiting
        is_ours = due.filter(pk=checklist.pk, next_probe_at=checklist.next_probe_at).update(
            next_probe_at=Now() + timedelta(minutes=10)
        )
        if is_ours:
            with suppress(MovedOn):  # meanwhile: its list on the other domain is due by itself
                probe(checklist)
            probed += 1
    return probed
