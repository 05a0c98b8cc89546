"""The queue is many: each stream, campaign and pool of mailbox providers waits by itself, in the order of due times.

So what is blocked (a paused campaign, a provider that is sent enough) is not read over and over by those who look for
what may leave. The index `entry_due` steps from queue to queue, whatever their length.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from mailops.outbox.ledger import fetch_dicts, fetch_first


class Queue(NamedTuple):
    """By what an entry waits; the first three columns of `entry_due`."""

    stream: int
    campaign: int  # 0: of none
    pool: str  # a mailbox provider with limits of its own, or "": all the others


def due_queues(stream_ids: Sequence[int]) -> list[Queue]:
    """Return the queues of these streams in which something is due, but for those of campaigns that don't run."""
    rows = fetch_dicts(
        f"""
        WITH RECURSIVE source AS (
            SELECT stream, 0::bigint AS campaign FROM unnest(%(streams)s::bigint[]) AS stream
             UNION ALL
            SELECT stream_id, id FROM campaigns_campaign WHERE stream_id = ANY(%(streams)s) AND state = 'running'
        ), queue AS (
            SELECT source.*, f.pool, f.due_at
              FROM source LEFT JOIN LATERAL ({_ENTRY} ORDER BY e.pool, e.due_at LIMIT 1) f ON TRUE
             UNION ALL
            SELECT source.stream, source.campaign, f.pool, f.due_at
              FROM queue source
              LEFT JOIN LATERAL ({_ENTRY} AND e.pool > source.pool ORDER BY e.pool, e.due_at LIMIT 1) f ON TRUE
             WHERE source.pool IS NOT NULL
        )
        SELECT stream, campaign, pool FROM queue WHERE due_at <= clock_timestamp()
        """,  # noqa: S608 - constants
        {"streams": list(stream_ids)},
    )
    return [Queue(**row) for row in rows]


_WAITING = """
    SELECT e.pool, e.due_at FROM outbox_queueentry e
     WHERE e.stream_id = source.stream AND coalesce(e.campaign_id, 0) = source.campaign
       AND e.worker_id IS NULL AND NOT e.is_held
"""
_ENTRY = f"{_WAITING} AND (e.closes_at IS NULL OR e.closes_at > clock_timestamp())"


def waiting_pools(stream_id: int, campaign_id: int) -> set[str]:
    """Return the pools in which mail of a campaign (0: of none) waits, due or not."""
    rows = fetch_dicts(
        f"""
        WITH RECURSIVE source AS (SELECT %(stream)s::bigint AS stream, %(campaign)s::bigint AS campaign), waiting AS (
            (SELECT e.pool FROM source, LATERAL ({_WAITING} ORDER BY e.pool LIMIT 1) e)
             UNION ALL
            SELECT f.pool FROM waiting, source, LATERAL ({_WAITING} AND e.pool > waiting.pool ORDER BY e.pool LIMIT 1) f
        )
        SELECT pool FROM waiting
        """,  # noqa: S608 - constants
        {"stream": stream_id, "campaign": campaign_id},
    )
    return {row["pool"] for row in rows}


def has_waited(queues: Sequence[Queue], span: timedelta) -> bool:
    """Tell whether an entry of these queues has been due for so long."""
    streams, campaigns, pools = zip(*queues, strict=True)
    (waited,) = fetch_first(
        """
        SELECT EXISTS (SELECT FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS q (stream, campaign, pool)
                 JOIN outbox_queueentry e
                   ON e.stream_id = q.stream AND coalesce(e.campaign_id, 0) = q.campaign AND e.pool = q.pool
                WHERE e.worker_id IS NULL AND NOT e.is_held AND e.due_at < statement_timestamp() - %s::interval
                  AND (e.closes_at IS NULL OR e.closes_at > statement_timestamp()))
        """,
        [list(streams), list(campaigns), list(pools), span],
    )
    return bool(waited)


def oldest_due_at() -> datetime | None:
    """Return when the entry is due that waits for the longest, in whatever queue."""
    (oldest,) = fetch_first(
        """
        WITH RECURSIVE queue AS (
            (SELECT e.stream_id AS s, coalesce(e.campaign_id, 0) AS c, e.pool AS p, e.due_at
               FROM outbox_queueentry e WHERE e.worker_id IS NULL AND NOT e.is_held
              ORDER BY e.stream_id, coalesce(e.campaign_id, 0), e.pool, e.due_at LIMIT 1)
             UNION ALL
            SELECT f.* FROM queue q CROSS JOIN LATERAL (
                SELECT e.stream_id, coalesce(e.campaign_id, 0), e.pool, e.due_at
                  FROM outbox_queueentry e
                 WHERE e.worker_id IS NULL AND NOT e.is_held
                   AND (e.stream_id, coalesce(e.campaign_id, 0), e.pool) > (q.s, q.c, q.p)
                 ORDER BY e.stream_id, coalesce(e.campaign_id, 0), e.pool, e.due_at LIMIT 1) f
        )
        SELECT min(due_at) FROM queue
        """,
        [],
    )
    return oldest  # type: ignore[no-any-return]
