"""Understands the past replies of a signature anew, in chunks that can be cut off anywhere and doubled by nobody.

What a server said never changes; what mailops makes of it may. So the reason, fault and kind of an event are put right
in place, the counts move along in the same transaction, and the message's timeline keeps what it was before and who
taught it. A chunk that runs twice finds nothing to change.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from mailops.accounts.auditing import SYSTEM, audit
from mailops.accounts.models import AuditEntry, User
from mailops.lib.chunks import MAX_FAILURES, count_failure
from mailops.lib.templatetags.words import reason_word
from mailops.outbox.ledger import (
    Row,
    bucket_of,
    fetch_dicts,
    insert_events,
    lock_messages,
    open_span,
    status_key,
    write_tallies,
)
from mailops.outbox.models import CountKey, Event, EventKind, Message, Signature, Status
from mailops.outbox.recording import kind_of_refusal
from mailops.outbox.sightings import SHOWING, SIGNED, Sightings, phase_of
from mailops.protocol.address import InvalidAddress, address_key
from mailops.protocol.classification import (
    MEANINGS,
    Classification,
    as_taught,
    classify,
)
from mailops.protocol.reply import Reply
from mailops.reports.sealing import sealed_until
from mailops.signatures.models import Lesson
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import suppress, unsuppress

CHUNK = 300  # events
# by then every process knows the lesson, and has committed what it had
SETTLED = timedelta(seconds=45)
OVERLAP = 10_000  # events with smaller ids that may have been committed later

_IN_SESSION = frozenset({EventKind.BOUNCED, EventKind.FAILED})
_SUPPRESSING = frozenset(reason for reason, meaning in MEANINGS.items() if meaning.suppress)


@dataclass
class _Change:
    """An event that means something else by what was taught."""

    event: dict[str, Any]
    row: Row
    kind: str
    reason: str
    fault: str
    sentence: str
    suppresses: bool
    as_read: dict[str, str]  # by mailops itself

    @property
    def is_other(self) -> bool:
        then = self.event
        return (self.kind, self.reason, self.fault, self.sentence) != (
            then["kind"],
            then["reason"],
            then["fault"],
            then["sentence"],
        )

    @property
    def is_shown(self) -> bool:
        """Tell whether the message's own columns are those of this event."""
        kind, status = self.event["kind"], self.row.standing.status
        if kind not in _SHOWN or (kind == EventKind.DEFERRED and status == Status.FAILED):
            return False  # the latter shows that nothing was left to send
        return bool(self.event["was_applied"] and self.event["is_last"]) and status in SHOWING

    @property
    def moves(self) -> bool:
        return self.is_shown and self.kind != self.event["kind"]


_SHOWN = SIGNED - {EventKind.DELAYED}  # of these a message shows the last
_STATUS = {EventKind.BOUNCED: Status.BOUNCED, EventKind.FAILED: Status.FAILED}


def reclassify_chunk(*, lesson_id: int, most: int = CHUNK) -> bool:
    """Understand the next events anew; return whether more may be waiting (False also where another is at it)."""
    with transaction.atomic():
        running = Lesson.objects.filter(pk=lesson_id, state=Lesson.State.RUNNING)
        lesson = running.select_for_update(skip_locked=True).first()
        if lesson is None:
            return False
        last, looked_at = _go_on(lesson, after=lesson.cursor, most=most)
        if not looked_at:
            lesson.cursor = max(lesson.newest_event - OVERLAP, 0)  # where the second look begins
            lesson.failures = 0
            _finish(lesson, Lesson.State.COMPLETED)
            return False
        lesson.cursor, lesson.failures = last, 0
        lesson.looked_at += looked_at
        lesson.save()
    return True


def settled() -> list[int]:
    """Return the lessons that every process knows by now, and of which a second look is owed."""
    known = _owing().filter(finished_at__lt=timezone.now() - SETTLED)
    return list(known.order_by("pk").values_list("pk", flat=True))


def _owing() -> QuerySet[Lesson]:
    return Lesson.objects.filter(state=Lesson.State.COMPLETED, rechecked_at=None)


def recheck_chunk(*, lesson_id: int, most: int = CHUNK) -> bool:
    """Look once more at the next of what was being recorded since a lesson began; tell as `reclassify_chunk` does."""
    with transaction.atomic():
        lesson = _owing().filter(pk=lesson_id).select_for_update(skip_locked=True).first()
        if lesson is None:
            return False
        looked_at = 0
        if lesson.is_newest:
            lesson.cursor, looked_at = _go_on(lesson, after=lesson.cursor, most=most)
        if not looked_at:
            lesson.rechecked_at = timezone.now()
        lesson.failures = 0
        lesson.save()
    return bool(looked_at)


def _go_on(lesson: Lesson, *, after: int, most: int) -> tuple[int, int]:
    """Understand the events that follow; return the last one's id and how many there were."""
    signature = Signature.objects.get(pk=lesson.signature_id)
    ids = list(
        Event.objects.filter(signature_id=signature.pk, pk__gt=after)
        .order_by("pk")
        .values_list("pk", "message_id")[:most]
    )
    if not ids:
        return after, 0
    rows, _ = lock_messages(sorted({message_id for _, message_id in ids}))
    told = [
        _understood(signature, event, rows[event["message_id"]])
        for event in _told(signature.pk, [pk for pk, _ in ids])
    ]
    changed = [one for one in told if one.is_other]
    _write(lesson, changed)
    _suppress(lesson, told)
    _withdraw(lesson, told)
    return ids[-1][0], len(ids)


def _told(signature_id: int, ids: list[int]) -> list[dict[str, Any]]:
    """Return the events, with what their counts are kept by."""
    rows = fetch_dicts(
        """
        SELECT e.id, e.message_id, e.kind, e.source, e.occurred_at, e.reason, e.fault, e.sentence, e.reply_code,
               e.reply_enhanced_status, e.reply_text, e.was_applied, e.data::text AS data, e.round,
               coalesce(e.transport_id, (
                   SELECT t.transport_id FROM outbox_event t
                    WHERE t.message_id = e.message_id AND t.was_applied AND t.transport_id IS NOT NULL AND t.id < e.id
                    ORDER BY t.id DESC LIMIT 1)) AS transport_id,
               (SELECT a.occurred_at FROM outbox_event a
                 WHERE a.message_id = e.message_id AND a.kind = 'accepted' AND a.was_applied AND a.id <= e.id
                 ORDER BY a.id LIMIT 1) AS accepted_at,
               e.recorded_at - %s AS open_since, m.recipient, m.round = e.round AND NOT EXISTS (
                   SELECT 1 FROM outbox_event l
                    WHERE l.message_id = e.message_id AND l.was_applied AND l.kind = ANY(%s) AND l.id > e.id) AS is_last
          FROM outbox_event e JOIN outbox_message m ON m.id = e.message_id
         WHERE e.id = ANY(%s) AND e.signature_id = %s ORDER BY e.id
        """,
        [open_span(), [str(kind) for kind in _SHOWN], ids, signature_id],
    )
    return [{**row, "data": json.loads(row["data"])} for row in rows]


def _understood(signature: Signature, event: dict[str, Any], row: Row) -> _Change:
    reply = Reply(event["reply_code"] or 0, event["reply_text"], event["reply_enhanced_status"])
    phase = phase_of(event["kind"], event["data"])
    reading = classify(reply, phase)
    kept = event["data"].get("as_read")
    as_read = kept or _as_read(event["kind"], reading)
    taught = signature.taught
    if taught is None:
        suppresses = _suppresses(reading, as_read["reason"])
        return _Change(event, row, **as_read, suppresses=suppresses, as_read=as_read)
    meant = as_taught(reading, taught, phase)
    kept = kept or {name: event[name] for name in ("kind", "reason", "fault", "sentence")}
    return _Change(
        event, row, **_as_read(event["kind"], meant), suppresses=meant.suppress, as_read=kept
    )


def _suppresses(reading: Classification, reason: str) -> bool:
    """Tell whether a reply that was read for `reason` suppresses: its provider may have said more of it than its words do."""
    return reading.suppress if reading.reason == reason else reason in _SUPPRESSING


def _as_read(kind: str, meaning: Classification) -> dict[str, str]:
    """Return what an event of `kind` says by a meaning: a refusal in session is ours or theirs by the fault."""
    if kind in _IN_SESSION:
        kind = kind_of_refusal(meaning.fault)
    return {
        "kind": str(kind),
        "reason": str(meaning.reason),
        "fault": str(meaning.fault),
        "sentence": meaning.sentence,
    }


def _write(lesson: Lesson, changed: list[_Change]) -> None:
    if not changed:
        return
    is_taught = bool(lesson.after.get("reason"))
    _update_events(changed, is_taught=is_taught)
    _update_messages([one for one in changed if one.is_shown])
    applied = [one for one in changed if one.event["was_applied"]]
    lesson.sealed += _move_counts(applied, lesson.signature_id)
    insert_events([_evidence(lesson, one) for one in changed])
    lesson.changed += len(changed)
    lesson.moved += sum(one.moves for one in changed)


def _update_events(changed: Iterable[_Change], *, is_taught: bool) -> None:
    values = [
        {
            "id": one.event["id"],
            "kind": one.kind,
            "reason": one.reason,
            "fault": one.fault,
            "sentence": one.sentence,
            "kept": {"as_read": one.as_read} if is_taught else {},
        }
        for one in changed
    ]
    _execute(
        """
        UPDATE outbox_event e SET kind = v.kind, reason = v.reason, fault = v.fault, sentence = v.sentence,
               data = (e.data - 'as_read') || v.kept
          FROM jsonb_to_recordset(%s::jsonb) AS v(id bigint, kind text, reason text, fault text, sentence text, kept jsonb)
         WHERE e.id = v.id
        """,
        [json.dumps(values)],
    )


def _update_messages(changed: Iterable[_Change]) -> None:
    values = [
        {
            "id": one.row.id,
            "reason": one.reason,
            "sentence": one.sentence,
            "status": _STATUS[EventKind(one.kind)] if one.moves else one.row.standing.status,
        }
        for one in changed
    ]
    _execute(
        """
        UPDATE outbox_message m SET reason = v.reason, sentence = v.sentence, status = v.status
          FROM jsonb_to_recordset(%s::jsonb) AS v(id bigint, reason text, sentence text, status text) WHERE m.id = v.id
        """,
        [json.dumps(values)],
    )


def _move_counts(changed: Iterable[_Change], signature_id: int) -> int:
    """Take each event out of the counts as it was, and put it in as it is; return how many stay, since they are sealed.

    What was told when its time was closed already was counted as of the earliest that was open then.
    """
    tallies: Counter[tuple[Any, ...]] = Counter()
    sightings = Sightings()
    sealed, stay = sealed_until(), 0
    for one in changed:
        event, columns = one.event, one.row.columns
        bucket = bucket_of(max(event["occurred_at"], event["open_since"]))
        cohort = bucket_of(max(event["accepted_at"] or event["occurred_at"], event["open_since"]))
        is_sealed = bucket < sealed
        stay += is_sealed
        for kind, reason, n in ((event["kind"], event["reason"], -1), (one.kind, one.reason, 1)):
            place = {
                "bucket_at": bucket,
                "cohort_at": cohort,
                "measure": CountKey.Measure.EVENT,
                "kind": kind,
                "reason": reason,
                "transport_id": event["transport_id"],
            }
            if not is_sealed:
                tallies[tuple(place.get(name, columns.get(name)) for name in CountKey.KEY)] += n
            sightings.note(
                signature_id=signature_id,
                kind=kind,
                at=event["occurred_at"],
                bucket=bucket_of(event["occurred_at"]),
                columns=columns,
                transport_id=event["transport_id"],
                n=n,
            )
        if one.moves:
            tallies[status_key(columns, bucket, one.row.standing.status)] -= 1
            tallies[status_key(columns, bucket, _STATUS[EventKind(one.kind)])] += 1
    write_tallies(tallies)
    sightings.write()
    return stay


def _evidence(lesson: Lesson, one: _Change) -> dict[str, Any]:
    """Return the event that tells on the timeline what a lesson changed."""
    then = reason_word(one.event["reason"]).lower()
    said = "took back what was taught of" if lesson.undoes_id else "taught what is meant by"
    return {
        "message_id": one.row.id,
        "kind": EventKind.RECLASSIFIED,
        "source": "person",
        "external_id": f"lesson:{lesson.pk}:{one.event['id']}",
        "occurred_at": timezone.now(),
        "round": one.event["round"],
        "fence": None,
        "transport_id": None,
        "reason": one.reason,
        "fault": one.fault,
        "sentence": f"{lesson.actor_name or 'A person'} {said} this reply: "
        f"“{reason_word(one.reason).lower()}”, before “{then}”. {one.sentence}".strip(),
        "reply_code": one.event["reply_code"],
        "reply_enhanced_status": one.event["reply_enhanced_status"],
        "reply_text": one.event["reply_text"],
        "reply_command": "",
        "was_applied": False,
        "data": {
            "by": lesson.actor_name,
            "lesson": lesson.pk,
            "event": one.event["id"],
            "before": {name: one.event[name] for name in ("kind", "reason", "fault", "sentence")},
        },
        "signature_id": None,
    }


def _suppress(lesson: Lesson, told: Iterable[_Change]) -> None:
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


_FINAL = frozenset({EventKind.BOUNCED, EventKind.RETURNED})


def _spared(newest: dict[str, _Change]) -> set[str]:
    keys = list(newest)
    known = Suppression.objects.active().filter(address_key__in=keys, stream=None)
    spared = set(known.values_list("address_key", flat=True))
    taken = Message.objects.filter(address_key__in=keys, accepted_at__isnull=False)
    spared |= {
        key
        for key, at in taken.values_list("address_key", "accepted_at")
        if at > newest[key].event["occurred_at"]
    }
    return spared | _let_on(newest)


def _let_on(newest: Mapping[str, _Change]) -> set[str]:
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


def _withdraw(lesson: Lesson, told: Iterable[_Change]) -> None:
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


def _finish(lesson: Lesson, state: Lesson.State, *, sentence: str = "") -> None:
    lesson.state, lesson.sentence, lesson.finished_at = state, sentence, timezone.now()
    lesson.save()
    audit(
        actor=lesson.created_by,
        verb=f"signature.{'reclassify' if state == Lesson.State.COMPLETED else 'fail'}",
        subject=lesson.signature,
        after={
            "replies": lesson.changed,
            "messages moved": lesson.moved,
            "suppressed": lesson.suppressed,
            "suppressions withdrawn": lesson.withdrawn,
        },
    )


def note_failure(lesson_id: int, error: Exception) -> None:
    """Count a chunk that could not be understood anew; after a few in a row the lesson fails and says why."""
    count_failure(Lesson.objects.all(), lesson_id, error, give_up=_give_up)


def note_recheck_failure(lesson_id: int, error: Exception) -> None:
    """Count a chunk of the second look that failed; after a few in a row the lesson fails and says why."""
    state = Lesson.State.COMPLETED
    count_failure(_owing(), lesson_id, error, give_up=_give_up_recheck, state=state)


def try_again(lesson: Lesson, *, actor: User) -> bool:
    """Let a lesson that failed go on where it was; return False where it didn't, or something was taught since."""
    with transaction.atomic():
        # as `teach` does, which ends what runs
        Signature.objects.select_for_update().get(pk=lesson.signature_id)
        locked = Lesson.objects.select_for_update().get(pk=lesson.pk)
        if not locked.may_be_tried_again:
            return False
        behind = Event.objects.filter(signature_id=locked.signature_id, pk__gt=locked.cursor)
        locked.planned = locked.looked_at + behind.count()
        locked.state, locked.failures, locked.finished_at = Lesson.State.RUNNING, 0, None
        locked.sentence = locked.detail = ""
        locked.save()
        audit(actor=actor, verb="signature.retry", subject=locked.signature)
    lesson.refresh_from_db()
    return True


def _give_up_recheck(lesson: Lesson) -> None:
    sentence = (
        f"Replies that were recorded while it began could not be looked at once more in {MAX_FAILURES} tries: "
        "some of them may still mean what they meant before. All others mean what was taught."
    )
    _finish(lesson, Lesson.State.FAILED, sentence=sentence)


def _give_up(lesson: Lesson) -> None:
    sentence = (
        f"The next replies could not be understood anew in {MAX_FAILURES} tries; "
        f"the {lesson.looked_at:,} before them are. New ones mean what was taught."
    )
    _finish(lesson, Lesson.State.FAILED, sentence=sentence)


def _execute(sql: str, params: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
