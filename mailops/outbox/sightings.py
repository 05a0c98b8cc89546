"""Counts replies by their signature: noted with their events, folded into rows that stay few whatever servers answer.

A fold makes the row of a signature that is new from its first event. There are never more than MOST of them: the rarest
that nobody taught make room, and what then finds no place is counted as one, `OTHER`.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q

from mailops.lib.locks import advisory_lock
from mailops.outbox.ledger import execute_rows, fetch_dicts
from mailops.outbox.models import EventKind, SightingKey, Signature, Status
from mailops.protocol.classification import classify
from mailops.protocol.reply import Reply
from mailops.protocol.signature import OTHER, signature_of

MOST = 5_000  # rows
ROOM = 500  # made at once, where there is none
ROOM_SECONDS = 60.0  # between two times that room is made
RARE = 2  # replies; what came oftener stays
CHUNK = 1_000  # sightings in one transaction
CHUNKS = 30  # in one tick

SIGNED = frozenset(
    {EventKind.BOUNCED, EventKind.RETURNED, EventKind.FAILED, EventKind.DEFERRED, EventKind.DELAYED}
)
# what shows the reply that put it there: a delay that is told behind it stands on the timeline alone
SHOWING = frozenset({Status.BOUNCED, Status.FAILED, Status.DEFERRED})
_KEY = ", ".join(SightingKey.KEY)
_TYPES = """signature_id bigint, bucket_at timestamptz, kind text, stream_id bigint, campaign_id bigint,
    transport_id bigint, mailbox_provider text, n bigint, first_at timestamptz, last_at timestamptz"""


def signature_id_of(kind: EventKind, reply: Reply | None, recipient: str) -> int | None:
    """Return the signature of what a refusal said; None for all else, so that an acceptance costs nothing."""
    if reply is None or kind not in SIGNED or reply.is_positive:
        return None
    if not (reply.code or reply.text.strip()):
        return None
    return signature_of(reply, recipient=recipient).id


class Sightings:
    """What one transaction saw, to be written with its events."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Any, ...], list[Any]] = {}

    def note(
        self,
        *,
        signature_id: int,
        kind: str,
        at: datetime,
        bucket: datetime,
        columns: dict[str, Any],
        transport_id: int | None,
        n: int = 1,
    ) -> None:
        key = (
            signature_id, bucket, str(kind), columns["stream_id"], columns["campaign_id"], transport_id,
            columns["mailbox_provider"],
        )  # fmt: skip
        seen = self._seen.setdefault(key, [0, at, at])
        seen[0] += n
        seen[1], seen[2] = min(seen[1], at), max(seen[2], at)

    def write(self) -> None:
        """Insert them, in the caller's transaction."""
        rows = [
            {
                **dict(zip(SightingKey.KEY, key, strict=True)),
                "n": n,
                "first_at": first,
                "last_at": last,
            }
            for key, (n, first, last) in self._seen.items()
            if n
        ]
        if rows:
            execute_rows(
                f"""
                INSERT INTO outbox_sighting ({_KEY}, n, first_at, last_at)
                SELECT {_KEY}, n, first_at, last_at FROM jsonb_to_recordset(%s::jsonb) AS v({_TYPES})
                """,  # noqa: S608 - column names of our own
                rows,
            )


def fold_sightings(*, chunk: int = CHUNK, chunks: int = CHUNKS, most: int = MOST) -> int:
    """Fold what waits, at most `chunks` times `chunk`; return how many were. Passes where another folds."""
    total = 0
    for _ in range(chunks):
        with advisory_lock("outbox.sightings") as is_ours:
            folded = _fold(chunk, most) if is_ours else 0
        total += folded
        if folded < chunk:
            return total
    return total


def _fold(chunk: int, most: int) -> int:
    gone = fetch_dicts(
        f"""
        DELETE FROM outbox_sighting WHERE id IN (SELECT id FROM outbox_sighting ORDER BY id LIMIT %s)
        RETURNING {_KEY}, n, first_at, last_at
        """,  # noqa: S608
        [chunk],
    )
    if not gone:
        return 0
    placed = _place({row["signature_id"] for row in gone}, most)
    for row in gone:
        row["signature_id"] = placed[row["signature_id"]]
    _count(gone)
    _note_totals(gone)
    return len(gone)


def _place(ids: set[int], most: int) -> dict[int, int]:
    """Return under which signature each of `ids` is counted, having made the rows that are missing."""
    placed = {known: known for known in _known(ids)}
    missing = ids - set(placed)
    if not missing:
        return placed
    room = most - Signature.objects.count()
    if room < len(missing) and _may_make_room():
        room += _make_room(min(ROOM, most // 10))
    kept = _introduced(sorted(missing)[: max(room, 0)])
    rest = missing - {one.pk for one in kept}
    Signature.objects.bulk_create(kept, ignore_conflicts=True)
    if rest:
        _move_to_other(rest)
    return placed | {one.pk: one.pk for one in kept} | dict.fromkeys(rest, OTHER)


def _known(ids: set[int]) -> list[int]:
    return list(Signature.objects.filter(pk__in=ids).values_list("pk", flat=True))


def _introduced(ids: Iterable[int]) -> list[Signature]:
    """Return rows of signatures, each made from the first of its replies."""
    rows = fetch_dicts(
        """
        SELECT DISTINCT ON (e.signature_id) e.signature_id, e.reply_code, e.reply_enhanced_status, e.reply_text,
               e.occurred_at, e.kind, e.data, m.address_key
          FROM outbox_event e JOIN outbox_message m ON m.id = e.message_id
         WHERE e.signature_id = ANY(%s) ORDER BY e.signature_id, e.id
        """,
        [list(ids)],
    )
    return [_introduce(row) for row in rows]


def _introduce(row: dict[str, Any]) -> Signature:
    reply = Reply(row["reply_code"] or 0, row["reply_text"], row["reply_enhanced_status"])
    reading = classify(reply, phase_of(row["kind"], row["data"]))
    said = signature_of(reply, recipient=row["address_key"])
    return Signature(
        pk=row["signature_id"],
        code=said.code,
        enhanced_status=said.enhanced_status,
        pattern=said.pattern,
        example=reply.text,
        first_at=row["occurred_at"],
        last_at=row["occurred_at"],
        reason=reading.reason,
        kind=reading.kind,
        fault=reading.fault,
    )


def phase_of(kind: str, data: dict[str, Any] | str) -> str:
    """Return the phase in which an event's reply was given; what came back later is "returned"."""
    data = json.loads(data) if isinstance(data, str) else data
    if kind in {EventKind.RETURNED, EventKind.DELAYED}:
        return "returned"
    return str(data.get("phase", "rcpt"))


_made_room_at: float | None = None


def _may_make_room() -> bool:
    """Tell whether it is long enough ago: a flood of texts must not push out what it brought in a moment before."""
    global _made_room_at  # noqa: PLW0603 - a process has one
    now = time.monotonic()
    if _made_room_at is not None and now - _made_room_at < ROOM_SECONDS:
        return False
    _made_room_at = now
    return True


def _make_room(wanted: int) -> int:
    """Let go of the rarest signatures, the oldest first; return how many were. What a person taught or named stays."""
    said = ~Q(name="") | ~Q(cause="") | ~Q(fix="") | ~Q(owner="") | ~Q(taught_reason="")
    rare = Signature.objects.filter(n__lte=RARE).exclude(said | Q(pk=OTHER) | Q(revision__gt=0))
    ids = set(rare.order_by("last_at").values_list("pk", flat=True)[:wanted])
    if ids:
        _move_to_other(ids)
        Signature.objects.filter(pk__in=ids).delete()
    return len(ids)


def _move_to_other(ids: set[int]) -> None:
    """Let everything of `ids` be of OTHER from now on: events, messages and what was counted."""
    chosen = [sorted(ids)]
    _execute(f"UPDATE outbox_event SET signature_id = {OTHER} WHERE signature_id = ANY(%s)", chosen)  # noqa: S608
    _execute(
        f"""
        UPDATE outbox_message SET signature_id = {OTHER} WHERE id IN (
            SELECT id FROM outbox_message WHERE signature_id = ANY(%s) ORDER BY id FOR UPDATE)
        """,  # noqa: S608 - recorders lock messages in this order, too
        chosen,
    )
    _execute(
        f"""
        WITH gone AS (
            DELETE FROM outbox_signaturecount WHERE signature_id = ANY(%s)
            RETURNING {_KEY}, n, first_at, last_at
        )
        INSERT INTO outbox_sighting ({_KEY}, n, first_at, last_at)
        SELECT {_KEY.replace("signature_id", str(OTHER))}, n, first_at, last_at FROM gone
        """,  # noqa: S608
        chosen,
    )
    if not Signature.objects.filter(pk=OTHER).exists():
        _introduce_other()


def _introduce_other() -> None:
    _execute(
        f"""
        INSERT INTO outbox_signature (id, code, enhanced_status, pattern, example, first_at, last_at, n, reason, kind,
               fault, name, cause, fix, owner, taught_reason, taught_kind, taught_fault, revision)
        VALUES ({OTHER}, 0, '', '', '', clock_timestamp(), clock_timestamp(), 0, '', '', '', '', '', '', '', '', '', '', 0)
        ON CONFLICT DO NOTHING
        """,  # noqa: S608
        [],
    )


def _count(rows: list[dict[str, Any]]) -> None:
    execute_rows(
        f"""
        INSERT INTO outbox_signaturecount AS c ({_KEY}, n, first_at, last_at)
        SELECT {_KEY}, sum(n), min(first_at), max(last_at)
          FROM jsonb_to_recordset(%s::jsonb) AS v({_TYPES}) GROUP BY {_KEY}
        ON CONFLICT ON CONSTRAINT signature_count_once DO UPDATE SET
            n = c.n + EXCLUDED.n, first_at = least(c.first_at, EXCLUDED.first_at),
            last_at = greatest(c.last_at, EXCLUDED.last_at)
        """,  # noqa: S608
        rows,
    )


def _note_totals(rows: list[dict[str, Any]]) -> None:
    totals: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        totals[row["signature_id"]].append(row)
    execute_rows(
        """
        UPDATE outbox_signature s SET n = s.n + v.n, first_at = least(s.first_at, v.first_at),
               last_at = greatest(s.last_at, v.last_at)
          FROM jsonb_to_recordset(%s::jsonb) AS v(id bigint, n bigint, first_at timestamptz, last_at timestamptz)
         WHERE s.id = v.id
        """,
        [
            {
                "id": pk,
                "n": sum(row["n"] for row in seen),
                "first_at": min(row["first_at"] for row in seen),
                "last_at": max(row["last_at"] for row in seen),
            }
            for pk, seen in totals.items()
        ],
    )


def _execute(sql: str, params: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
