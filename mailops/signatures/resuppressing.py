"""Suppresses by replies that were understood anew, and takes back what such replies suppressed wrongly."""

from collections.abc import Iterable, Mapping

from mailops.accounts.auditing import SYSTEM
from mailops.accounts.models import AuditEntry
from mailops.outbox.models import Event, EventKind, Message
from mailops.outbox.sightings import phase_of
from mailops.protocol.address import InvalidAddress, address_key
from mailops.protocol.classification import classify
from mailops.protocol.reply import Reply
from mailops.signatures.changes import Change
from mailops.signatures.models import Lesson
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import suppress, unsuppress

_FINAL = frozenset({EventKind.BOUNCED, EventKind.RETURNED})


def suppress_by(lesson: Lesson, told: Iterable[Change]) -> None:
    """Suppress whom the replies speak against, unless their mail was taken since, or a person let them on."""
    newest = {
        one.row.columns["address_key"]: one
        for one in told
        if one.suppresses and one.event["was_applied"] and one.kind in _FINAL
    }
    if not newest:
        return
    spared = _spared(newest)
    for key, one in newest.items():
        if key in spared:
            continue
        reply = Reply(one.event["reply_code"] or 0, one.event["reply_text"])
        suppress(
            address=one.event["recipient"],
            stream=None,
            reason=Suppression.Reason.HARD_BOUNCE,
            evidence_text=f"{reply} ({one.sentence} As {lesson.actor_name or 'a person'} taught.)",
            evidence_event_id=one.event["id"],
        )
        lesson.suppressed += 1


def _spared(newest: dict[str, Change]) -> set[str]:
    keys = list(newest)
    known = Suppression.objects.active().firm().filter(address_key__in=keys, stream=None)
    spared = set(known.values_list("address_key", flat=True))
    taken = Message.objects.filter(address_key__in=keys, accepted_at__isnull=False)
    spared |= {
        key
        for key, at in taken.values_list("address_key", "accepted_at")
        if at > newest[key].event["occurred_at"]
    }
    return spared | _let_on(newest)


def _let_on(newest: Mapping[str, Change]) -> set[str]:
    """Return those of the addresses that a person took off the list since, however they stood there."""
    since = min(one.event["occurred_at"] for one in newest.values())
    removed = AuditEntry.objects.filter(verb="suppression.remove", at__gt=since)
    by_people = removed.exclude(actor_label=SYSTEM).values_list("subject_label", "at")
    told = [(_key_of(label), at) for label, at in by_people]
    return {key for key, at in told if key in newest and at > newest[key].event["occurred_at"]}


def _key_of(label: str) -> str:
    try:
        return address_key(label, allow_utf8=True)
    except InvalidAddress:
        return ""


def withdraw_by(lesson: Lesson, told: Iterable[Change]) -> None:
    """Take suppressions back whose evidence does not speak against the address any more; other evidence keeps them."""
    cleared = {one.event["id"]: one for one in told if not (one.suppresses and one.kind in _FINAL)}
    keys = [one.row.columns["address_key"] for one in cleared.values()]
    entries = (
        Suppression.objects.order_by("pk")
        .select_for_update()
        .filter(
            address_key__in=keys,
            evidence_event_id__in=list(cleared),
            reason=Suppression.Reason.HARD_BOUNCE,
        )
    )
    for entry in entries:
        other = _other_evidence(entry, lesson.signature_id)
        if other is not None:
            entry.evidence_event_id, entry.evidence_text = other.pk, other.reply_line
            entry.save(update_fields=["evidence_event_id", "evidence_text"])
            continue
        unsuppress(
            suppression=entry,
            reason=f"Its evidence, “{entry.evidence_text[:200]}”, means something else: {lesson.actor_name or 'a person'} "
            f"said so of all such replies (lesson {lesson.pk}).",
        )
        lesson.withdrawn += 1


def _other_evidence(entry: Suppression, signature_id: int) -> Event | None:
    """Return another refusal that speaks against the address by itself."""
    refusals = Event.objects.filter(
        message__address_key=entry.address_key, kind__in=_FINAL, was_applied=True, fault="recipient"
    ).exclude(signature_id=signature_id)
    for event in refusals.order_by("-pk")[:20]:
        reply = Reply(event.reply_code or 0, event.reply_text, event.reply_enhanced_status)
        reading = classify(reply, phase_of(event.kind, event.data))
        if reading.suppress and reading.reason == event.reason:
            return event
    return None
