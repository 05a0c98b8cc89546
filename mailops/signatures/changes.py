"""What past replies of a signature mean by what is said of it now, beside what their events hold."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailops.outbox.ledger import Row, fetch_dicts, open_span
from mailops.outbox.models import EventKind, Signature, Status
from mailops.outbox.recording import kind_of_refusal
from mailops.outbox.sightings import SHOWING, SIGNED, phase_of
from mailops.protocol.classification import MEANINGS, Classification, as_taught, classify
from mailops.protocol.reply import Reply

_IN_SESSION = frozenset({EventKind.BOUNCED, EventKind.FAILED})
_SHOWN = SIGNED - {EventKind.DELAYED}  # of these a message shows the last
_STATUS = {EventKind.BOUNCED: Status.BOUNCED, EventKind.FAILED: Status.FAILED}
_SUPPRESSING = frozenset(reason for reason, meaning in MEANINGS.items() if meaning.suppress)


@dataclass
class Change:
    """An event, with what it means by what was taught."""

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

    @property
    def status(self) -> Status:
        """The message's status by what the event means now."""
        return _STATUS[EventKind(self.kind)] if self.moves else self.row.standing.status


def changes_of(signature: Signature, ids: list[int], rows: Mapping[int, Row]) -> list[Change]:
    """Return what these events of `signature` mean now, in their order; `rows` are their messages by id."""
    return [
        _understood(signature, event, rows[event["message_id"]])
        for event in _told(signature.pk, ids)
    ]


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


def _understood(signature: Signature, event: dict[str, Any], row: Row) -> Change:
    reply = Reply(event["reply_code"] or 0, event["reply_text"], event["reply_enhanced_status"])
    phase = phase_of(event["kind"], event["data"])
    reading = classify(reply, phase)
    kept = event["data"].get("as_read")
    as_read = kept or _as_read(event["kind"], reading)
    taught = signature.taught
    if taught is None:
        suppresses = _suppresses(reading, as_read["reason"])
        return Change(event, row, **as_read, suppresses=suppresses, as_read=as_read)
    meant = as_taught(reading, taught, phase)
    kept = kept or {name: event[name] for name in ("kind", "reason", "fault", "sentence")}
    return Change(
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
