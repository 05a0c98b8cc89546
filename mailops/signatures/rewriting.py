"""Writes down that past replies mean something else: in their events and messages, in the counts, on the timelines."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.utils import timezone

from mailops.lib.templatetags.words import reason_word
from mailops.outbox.ledger import bucket_of, insert_events, status_key, write_tallies
from mailops.outbox.models import CountKey, EventKind
from mailops.outbox.sightings import Sightings
from mailops.reports.sealing import sealed_until
from mailops.signatures.changes import Change
from mailops.signatures.models import Lesson


def rewrite(lesson: Lesson, changed: list[Change]) -> None:
    """Write down what each of `changed` means now, and note on the lesson how many they were; the caller saves it."""
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


def _update_events(changed: Iterable[Change], *, is_taught: bool) -> None:
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


def _update_messages(changed: Iterable[Change]) -> None:
    values = [
        {
            "id": one.row.id,
            "reason": one.reason,
            "sentence": one.sentence,
            "status": one.status,
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


def _move_counts(changed: Iterable[Change], signature_id: int) -> int:
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
            tallies[status_key(columns, bucket, one.status)] += 1
    write_tallies(tallies)
    sightings.write()
    return stay


def _evidence(lesson: Lesson, one: Change) -> dict[str, Any]:
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


def _execute(sql: str, params: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
