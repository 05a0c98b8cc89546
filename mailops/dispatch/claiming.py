"""Claims due entries for a worker, and gives back what it did not speak of."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from mailops.dispatch.limits import give_back, take_allowance
from mailops.outbox.ledger import fetch_dicts, fetch_prepared


@dataclass(frozen=True)
class Carrier:
    """A transport that may carry mail now, and the running streams of a lane that go through it."""

    transport_id: int
    rate_per_minute: int | None
    stream_ids: tuple[int, ...]


@dataclass(frozen=True)
class Job:
    """One claimed message with all a session needs to make and send it; the database is not asked again."""

    message_id: int
    transport_id: int
    fence: int
    session_attempts: int
    due_at: datetime
    public_id: UUID
    round: int
    token_key_id: str
    recipient: str
    address_key: str
    merge_data: dict[str, Any]
    version_id: int
    stream_id: int
    stream_name: str
    is_bulk: bool
    campaign_id: int | None
    campaign_name: str
    header_from_name: str
    header_from: str
    domain: str
    reply_to: str

    @property
    def addr_spec(self) -> str:
        """The recipient as it goes on the wire: the local part as given, the domain in A-labels."""
        return f"{self.recipient.rpartition('@')[0]}@{self.address_key.rpartition('@')[2]}"


def usable_carriers(lane: str) -> list[Carrier]:
    """Return the transports that may open a session now, each with the running streams whose first route it is."""
    rows = fetch_dicts(
        """
        SELECT t.id AS transport_id, t.rate_per_minute, array_agg(s.id ORDER BY s.id) AS stream_ids
          FROM transports_stream s
          JOIN LATERAL (SELECT transport_id FROM transports_route r WHERE r.stream_id = s.id
                         ORDER BY r.position LIMIT 1) r ON TRUE
          JOIN transports_transport t ON t.id = r.transport_id
         WHERE s.kind = %s AND s.state = 'running' AND t.state = 'running'
           AND (t.backoff_until IS NULL OR t.backoff_until <= clock_timestamp())
         GROUP BY t.id
        """,
        [lane],
    )
    return [
        Carrier(row["transport_id"], row["rate_per_minute"], tuple(row["stream_ids"]))
        for row in rows
    ]


_CLAIM = """
WITH due AS (
    SELECT e.message_id FROM outbox_queueentry e
     WHERE e.stream_id = %(stream)s AND e.worker_id IS NULL AND NOT e.is_held
       AND e.due_at <= clock_timestamp() AND e.expires_at > clock_timestamp()
       AND (e.closes_at IS NULL OR e.closes_at > clock_timestamp())
       AND (e.due_at, e.message_id) > (%(after_due)s, %(after_id)s)
       AND (e.campaign_id IS NULL OR e.campaign_id IN (SELECT id FROM campaigns_campaign WHERE state = 'running'))
       AND EXISTS (SELECT FROM dispatch_worker w
                    WHERE w.id = %(worker)s AND w.dead_at IS NULL AND w.stopped_at IS NULL)
       AND NOT EXISTS (SELECT FROM suppressions_suppression x
                        WHERE x.address_key = e.address_key AND (x.stream_id IS NULL OR x.stream_id = e.stream_id)
                          AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp()))
     ORDER BY e.due_at, e.message_id LIMIT %(limit)s FOR UPDATE OF e SKIP LOCKED
), taken AS (
    UPDATE outbox_queueentry e
       SET worker_id = %(worker)s, fence = nextval('outbox_fence'), marked_at = NULL
      FROM due WHERE e.message_id = due.message_id
    RETURNING e.message_id, e.fence, e.session_attempts, e.due_at
)
SELECT t.message_id, %(transport)s AS transport_id, t.fence, t.session_attempts, t.due_at, m.public_id, m.round, m.token_key_id, m.recipient,
       m.address_key, m.merge_data, m.version_id, m.stream_id, s.name AS stream_name, s.kind = 'bulk' AS is_bulk,
       m.campaign_id, coalesce(c.name, '') AS campaign_name, i.name AS header_from_name,
       i.local_part || '@' || d.name AS header_from, d.name AS domain, i.reply_to
  FROM taken t
  JOIN outbox_message m ON m.id = t.message_id
  JOIN transports_stream s ON s.id = m.stream_id
  JOIN domains_identity i ON i.id = m.identity_id
  JOIN domains_domain d ON d.id = i.domain_id
  LEFT JOIN campaigns_campaign c ON c.id = m.campaign_id
 ORDER BY t.due_at, t.message_id
"""

_BEGINNING = ("-infinity", 0)


class Claimer:
    """Claims for one worker; remembers how far it read in each stream, since claimed rows lie thick at the front."""

    def __init__(self, worker_id: int) -> None:
        self.worker_id = worker_id
        self._positions: dict[int, tuple[Any, int]] = {}

    def claim(self, carrier: Carrier, limit: int) -> list[Job]:
        """Take up to `limit` due messages of the carrier's streams, as many as the rates allow."""
        jobs: list[Job] = []
        allowed = take_allowance(
            f"transport:{carrier.transport_id}", carrier.rate_per_minute, limit
        )
        share = max(1, allowed // max(1, len(carrier.stream_ids)))
        for turn, stream_id in enumerate(carrier.stream_ids, start=1):
            want = (
                allowed - len(jobs)
                if turn == len(carrier.stream_ids)
                else min(share, allowed - len(jobs))
            )
            if want > 0:
                jobs += self._claim_stream(carrier.transport_id, stream_id, want)
        give_back(f"transport:{carrier.transport_id}", carrier.rate_per_minute, allowed - len(jobs))
        return jobs

    def _claim_stream(self, transport_id: int, stream_id: int, limit: int) -> list[Job]:
        rate = stream_rate(stream_id)
        key = f"stream:{stream_id}"
        allowed = take_allowance(key, rate, limit)
        if not allowed:
            return []
        after_due, after_id = self._positions.get(stream_id, _BEGINNING)
        rows = fetch_dicts(
            _CLAIM,
            {
                "transport": transport_id,
                "stream": stream_id,
                "worker": self.worker_id,
                "limit": allowed,
                "after_due": after_due,
                "after_id": after_id,
            },
        )
        give_back(key, rate, allowed - len(rows))
        # Django leaves jsonb in raw cursors as text.
        jobs = [Job(**{**row, "merge_data": json.loads(row["merge_data"])}) for row in rows]
        if len(jobs) < allowed:
            # The end of a pass: the next one begins at the front, where released rows may lie.
            self._positions.pop(stream_id, None)
        else:
            self._positions[stream_id] = (jobs[-1].due_at, jobs[-1].message_id)
        return jobs


def stream_rate(stream_id: int) -> int | None:
    """Return the stream's limit in messages a minute, None for no limit."""
    rows = fetch_dicts("SELECT rate_per_minute FROM transports_stream WHERE id = %s", [stream_id])
    return rows[0]["rate_per_minute"] if rows else None


def release(claims: Sequence[tuple[int, int]]) -> None:
    """Give back claims as (message id, fence), unspent; by fence alone, so a mark that may have landed is cleared (W9)."""
    if not claims:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE outbox_queueentry e SET worker_id = NULL, fence = NULL, marked_at = NULL
              FROM unnest(%s::bigint[], %s::bigint[]) AS v(message_id, fence)
             WHERE e.message_id = v.message_id AND e.fence = v.fence
            """,
            [[message_id for message_id, _ in claims], [fence for _, fence in claims]],
        )


def release_claims_of_the_gone() -> None:
    """Give back what dead or stopped workers claimed and never marked.

    One statement: a mark that commits beside it is seen under the row's lock, and stays for the sweep to settle.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE outbox_queueentry e SET worker_id = NULL, fence = NULL
              FROM dispatch_worker w
             WHERE w.id = e.worker_id AND (w.dead_at IS NOT NULL OR w.stopped_at IS NOT NULL)
               AND e.marked_at IS NULL
            """
        )


def mark(jobs: Sequence[Job]) -> set[int]:
    """Mark these as about to send a body; return the message ids that may.

    The last gate (states.md, "Mark"): the claim stands, the worker lives, nothing is suppressed or paused.
    Must be committed before the first byte of a body.
    """
    if not jobs:
        return set()
    rows = fetch_prepared(
        """
        UPDATE outbox_queueentry e SET marked_at = clock_timestamp()
          FROM json_to_recordset(%s::json) AS v(message_id bigint, fence bigint, transport_id bigint)
         WHERE e.message_id = v.message_id AND e.fence = v.fence AND e.marked_at IS NULL AND NOT e.is_held
           AND EXISTS (SELECT FROM dispatch_worker w
                        WHERE w.id = e.worker_id AND w.dead_at IS NULL AND w.stopped_at IS NULL)
           AND EXISTS (SELECT FROM transports_stream s WHERE s.id = e.stream_id AND s.state = 'running')
           AND EXISTS (SELECT FROM transports_transport t WHERE t.id = v.transport_id AND t.state = 'running')
           AND (e.campaign_id IS NULL OR EXISTS (
                SELECT FROM campaigns_campaign c WHERE c.id = e.campaign_id AND c.state = 'running'))
           AND NOT EXISTS (SELECT FROM suppressions_suppression x
                            WHERE x.address_key = e.address_key AND (x.stream_id IS NULL OR x.stream_id = e.stream_id)
                              AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp()))
        RETURNING e.message_id
        """,
        [
            json.dumps(
                [
                    {
                        "message_id": job.message_id,
                        "fence": job.fence,
                        "transport_id": job.transport_id,
                    }
                    for job in jobs
                ]
            )
        ],
    )
    return {message_id for (message_id,) in rows}
