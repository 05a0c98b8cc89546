"""The ledger's SQL: locks messages, writes events, statuses, queue entries and tallies."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from weakref import WeakSet

from django.conf import settings
from django.db import connection
from psycopg import Connection, Cursor

from mailops.lib.clock import database_now
from mailops.outbox.fold import Entry, Standing
from mailops.outbox.models import CountKey, Evidence, QueueEntry, Status
from mailops.outbox.slots import Slots
from mailops.transports.models import Stream

PLAN_SECONDS = 30
ASIDE = "marked_at", "owed_at", "due_at", "transport_id"  # of an entry: what the fold does not read


class Row:
    """A locked message with its standing, and the evidence that its columns will show."""

    def __init__(
        self, columns: dict[str, Any], entry: Entry | None, aside: dict[str, Any] | None = None
    ) -> None:
        self.columns = columns
        aside = aside or {}
        self.owed_at: datetime | None = aside.get("owed_at")
        self.due_at: datetime | None = aside.get("due_at")
        self.marked_at: datetime | None = aside.get("marked_at")  # its content began to go out
        self.claimed_for: int | None = aside.get("transport_id")
        self.standing = Standing(
            status=Status(columns["status"]),
            evidence=Evidence(columns["evidence"]),
            round=columns["round"],
            positive_from_round=columns["positive_from_round"],
            settling_fence=columns["settling_fence"],
            was_resent=columns["was_resent"],
            guarantee=columns["guarantee"],
            is_sensitive=columns["is_sensitive"],
            entry=entry,
        )
        self.had_entry = entry is not None
        self.status_before = self.standing.status
        self.shown: dict[str, Any] = {}
        self.retry_after = 0
        self.is_touched = False

    @property
    def id(self) -> int:
        return int(self.columns["id"])


def bucket_of(moment: datetime) -> datetime:
    """Return the start of the quarter hour of `moment`."""
    moment = moment.astimezone(UTC)
    return moment.replace(minute=moment.minute - moment.minute % 15, second=0, microsecond=0)


def open_span() -> timedelta:
    """Return how long counts stay open."""
    return timedelta(days=settings.MAILOPS_COUNT_DAYS)


def fetch_dicts(sql: str, params: Sequence[Any] | dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def fetch_rows(sql: str, params: Sequence[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


# connections that read no table whole where an index leads to its rows
_BY_INDEX: WeakSet[Connection[Any]] = WeakSet()


def fetch_by_index(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Do what `fetch_prepared` does for a statement that names its rows, and never read a whole table to find them.

    Else a plan made while the queue is short would do so for as long as it is kept, however long the queue gets. For the
    same reason the first plan can be kept here: left to choose, the server may compare it with those it made while the
    queue was short, and plan each time, which takes as long as the statement.
    """
    connection.ensure_connection()
    raw = connection.connection
    if raw not in _BY_INDEX and not connection.in_atomic_block:  # a rollback would undo it
        with connection.cursor() as cursor:
            cursor.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
        _BY_INDEX.add(raw)
    return fetch_prepared(sql, params)


def fetch_prepared(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement of the hot path and return its rows; it is planned now and then, and not each time.

    A plan costs as much as what it plans. Which one is kept stays the server's choice, after five that it made: told to
    keep the first, it would also keep those of foreign keys, which may be made while a table is empty. The age that
    stands in the statement has it choose anew soon after the tables have grown.
    """
    connection.ensure_connection()
    statement = _aged(sql, int(time.monotonic() // PLAN_SECONDS))
    with (
        connection.wrap_database_errors,
        _preparing(connection.connection),
        Cursor(connection.connection) as cursor,
    ):
        return cursor.execute(statement, params, prepare=True).fetchall()


@lru_cache(maxsize=16)
def _aged(sql: str, age: int) -> bytes:
    """Return `sql` on one line, which keeps it short: psycopg reads what has over 4,096 octets anew each time.

    No literal of it may have a comma before a space.
    """
    return f"/* {age} */ {' '.join(sql.split()).replace(', ', ',')}".encode()


@contextmanager
def _preparing(raw: Connection[Any]) -> Iterator[None]:
    """Allow prepared statements, which Django forbids; for longer, psycopg would keep Django's last hundred with data."""
    raw.prepare_threshold = 0
    try:
        yield
    finally:
        raw.prepare_threshold = None


def fetch_first(sql: str, params: Sequence[Any] | dict[str, Any]) -> list[Any]:
    """Return the first column of each row."""
    return [first for (first, *_) in fetch_rows(sql, params)]


def draw_fence() -> int:
    """Return a fence that nobody has; they only ever grow (W8)."""
    (fence,) = fetch_first("SELECT nextval('outbox_fence')", [])
    return int(fence)


def lock_messages(ids: list[int]) -> tuple[dict[int, Row], datetime]:
    """Lock messages, then their entries, each in the order of ids, which every recorder keeps."""
    messages = fetch_dicts(
        """
        SELECT m.id, m.status, m.evidence, m.round, m.positive_from_round, m.settling_fence, m.was_resent,
               m.stream_id, m.campaign_id, m.version_id, m.transport_id, m.mailbox_provider, m.accepted_at,
               m.address_key, i.domain_id, s.guarantee, s.backoff_seconds, s.expiry_seconds, s.kind AS lane,
               s.is_sensitive
          FROM outbox_message m
          JOIN domains_identity i ON i.id = m.identity_id
          JOIN transports_stream s ON s.id = m.stream_id
         WHERE m.id = ANY(%s) ORDER BY m.id FOR UPDATE OF m
        """,
        [ids],
    )
    entries = fetch_dicts(
        """
        SELECT message_id, fence, marked_at IS NOT NULL AS is_marked, is_held, attempts, session_attempts, marked_at,
               owed_at, due_at, transport_id
          FROM outbox_queueentry WHERE message_id = ANY(%s) ORDER BY message_id FOR UPDATE
        """,
        [ids],
    )
    aside = {entry["message_id"]: {name: entry.pop(name) for name in ASIDE} for entry in entries}
    by_message = {entry.pop("message_id"): Entry(**entry) for entry in entries}
    now = database_now()
    rows = (Row(row, by_message.get(row["id"]), aside.get(row["id"])) for row in messages)
    return {row.id: row for row in rows}, now


def status_key(columns: dict[str, Any], bucket: datetime, status: str) -> tuple[Any, ...]:
    """Return the tally key that counts messages in `status`; it leaves out what a status does not depend on."""
    return (
        bucket, None, CountKey.Measure.STATUS, status, "", columns["stream_id"], columns["campaign_id"],
        None, columns["domain_id"], columns["version_id"], "",
    )  # fmt: skip


def write_tallies(tallies: Counter[tuple[Any, ...]], slots: Slots | None = None) -> None:
    """Insert count deltas, in the caller's transaction; deltas of zero leave no row.

    `slots` are the latencies of each key's events, {"took": […], "waited": […]}.
    """
    names, slots = CountKey.KEY, slots or {}
    rows = [
        {**dict(zip(names, key, strict=True)), "n": n, **slots.get(key, {})}
        for key, n in tallies.items()
        if n
    ]
    if rows:
        execute_rows(
            f"""
            INSERT INTO outbox_tally ({", ".join(names)}, n, took, waited)
            SELECT {", ".join(names)}, n, took, waited FROM jsonb_to_recordset(%s::jsonb) AS v(
                bucket_at timestamptz, cohort_at timestamptz, measure text, kind text, reason text, stream_id bigint,
                campaign_id bigint, transport_id bigint, domain_id bigint, version_id bigint,
                mailbox_provider text, n bigint, took smallint[], waited smallint[])
            """,  # noqa: S608 - column names of our own
            rows,
        )


def execute_rows(sql: str, rows: Sequence[dict[str, Any]]) -> None:
    """Run a statement whose one parameter is `rows`, as JSON."""
    with connection.cursor() as cursor:
        cursor.execute(sql, [json.dumps(rows, default=str)])


def insert_events(events: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    if not events:
        return {}
    names = list(events[0])
    inserted = fetch_dicts(
        f"""
        INSERT INTO outbox_event ({", ".join(names)})
        SELECT {", ".join(names)} FROM jsonb_to_recordset(%s::jsonb) AS v(
            message_id bigint, kind text, source text, external_id text, occurred_at timestamptz,
            recorded_at timestamptz, round smallint,
            fence bigint, transport_id bigint, reason text, fault text, sentence text, reply_code smallint,
            reply_enhanced_status text, reply_text text, reply_command text, was_applied boolean, took_ms int,
            waited_ms int, data jsonb, signature_id bigint)
        RETURNING id, source, external_id
        """,  # noqa: S608 - column names of our own
        [json.dumps(events, default=str)],
    )
    return {(row["source"], row["external_id"]): row["id"] for row in inserted}


_SHOWN = (
    "reason", "sentence", "reply_code", "reply_enhanced_status", "reply_text", "reply_command",
    "transport_message_id", "settled_at",
)  # fmt: skip


def write_messages(rows: list[Row]) -> None:
    if not rows:
        return
    values = []
    for row in rows:
        standing = row.standing
        values.append(
            {
                "id": row.id,
                "status": standing.status,
                "evidence": standing.evidence,
                "round": standing.round,
                "positive_from_round": standing.positive_from_round,
                "settling_fence": standing.settling_fence,
                "was_resent": standing.was_resent,
                "transport_id": row.columns["transport_id"],
                "accepted_at": row.columns["accepted_at"],
                "forgets": standing.is_forgotten,
                "shows": "settled_at" in row.shown,
                "tells_id": "transport_message_id" in row.shown,
                "signature_id": row.shown.get("signature_id"),
                **{name: row.shown.get(name) for name in _SHOWN},
            }
        )
    execute_rows(
        """
        UPDATE outbox_message m SET
            status = v.status, evidence = v.evidence, round = v.round,
            positive_from_round = v.positive_from_round, settling_fence = v.settling_fence,
            was_resent = v.was_resent, transport_id = v.transport_id, accepted_at = v.accepted_at,
            merge_data = CASE WHEN v.forgets THEN '{}'::jsonb ELSE m.merge_data END,
            reason = CASE WHEN v.shows THEN v.reason ELSE m.reason END,
            sentence = CASE WHEN v.shows THEN v.sentence ELSE m.sentence END,
            reply_code = CASE WHEN v.shows THEN v.reply_code ELSE m.reply_code END,
            reply_enhanced_status = CASE WHEN v.shows THEN v.reply_enhanced_status ELSE m.reply_enhanced_status END,
            reply_text = CASE WHEN v.shows THEN v.reply_text ELSE m.reply_text END,
            reply_command = CASE WHEN v.shows THEN v.reply_command ELSE m.reply_command END,
            settled_at = CASE WHEN v.shows THEN v.settled_at ELSE m.settled_at END,
            transport_message_id = CASE WHEN v.tells_id THEN v.transport_message_id ELSE m.transport_message_id END,
            signature_id = coalesce(v.signature_id, m.signature_id)
          FROM jsonb_to_recordset(%s::jsonb) AS v(
            id bigint, status text, evidence smallint, round smallint, positive_from_round smallint,
            settling_fence bigint, was_resent boolean, transport_id bigint, accepted_at timestamptz,
            forgets boolean, shows boolean, tells_id boolean, reason text, sentence text, reply_code smallint,
            reply_enhanced_status text, reply_text text, reply_command text, transport_message_id text,
            settled_at timestamptz, signature_id bigint)
         WHERE m.id = v.id
        """,
        values,
    )


def write_entries(rows: list[Row]) -> None:
    gone = [row.id for row in rows if row.had_entry and row.standing.entry is None]
    if gone:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM outbox_queueentry WHERE message_id = ANY(%s)", [gone])
    changed = [
        row for row in rows if row.standing.entry is not None and row.standing.entry.is_released
    ]
    if changed:
        execute_rows(
            """
            INSERT INTO outbox_queueentry AS e (message_id, lane, stream_id, campaign_id, address_key,
                mailbox_provider, pool, due_at, owed_at, expires_at, attempts, session_attempts, is_held)
            SELECT v.id, v.lane, v.stream_id, v.campaign_id, v.address_key, v.mailbox_provider,
                   outbox_pool(v.mailbox_provider),
                   clock_timestamp() + make_interval(secs => v.delay), clock_timestamp(),
                   clock_timestamp() + make_interval(secs => v.expiry_seconds),
                   v.attempts, v.session_attempts, v.is_held
              FROM jsonb_to_recordset(%s::jsonb) AS v(id bigint, lane text, stream_id bigint, campaign_id bigint,
                   address_key text, mailbox_provider text, delay float, expiry_seconds int, attempts smallint,
                   session_attempts smallint, is_held boolean)
            ON CONFLICT (message_id) DO UPDATE SET
                owed_at = CASE WHEN e.is_held AND NOT EXCLUDED.is_held THEN EXCLUDED.owed_at ELSE e.owed_at END,
                -- a hold that ends, or a new round, which has no attempts yet, has the stream's whole time
                expires_at = CASE WHEN NOT EXCLUDED.is_held AND (e.is_held OR EXCLUDED.attempts + EXCLUDED.session_attempts = 0)
                                  THEN EXCLUDED.expires_at ELSE e.expires_at END,
                due_at = EXCLUDED.due_at, attempts = EXCLUDED.attempts, is_held = EXCLUDED.is_held,
                session_attempts = EXCLUDED.session_attempts, worker_id = NULL, fence = NULL, marked_at = NULL
            """,
            [_entry_values(row) for row in changed],
        )


def _entry_values(row: Row) -> dict[str, Any]:
    entry, columns = row.standing.entry, row.columns
    assert entry is not None
    stream = Stream(kind=columns["lane"], backoff_seconds=columns["backoff_seconds"])
    delay = (
        stream.backoff_after(entry.attempts, retry_after=row.retry_after)
        if entry.backs_off
        else timedelta()
    )
    return {
        "id": row.id,
        "lane": QueueEntry.Lane(columns["lane"]),
        "delay": delay.total_seconds(),
        "attempts": entry.attempts,
        "session_attempts": entry.session_attempts,
        "is_held": entry.is_held,
        **{
            name: columns[name]
            for name in (
                "stream_id",
                "campaign_id",
                "address_key",
                "mailbox_provider",
                "expiry_seconds",
            )
        },
    }
