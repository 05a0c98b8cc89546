"""Gives back what was claimed and not spoken of."""

from collections.abc import Sequence

from django.db import connection

from mailops.dispatch.claiming import Claim, Job

# A day's number is given back with the claim that took it: a transport that fails again and again would spend it all.
# Another day's is over: what it had counted doesn't lower that of the next.
# Whoever claims holds allowances and waits for no entry, so the order of these locks can't deadlock with it.
_GIVE_BACK = """
), back AS (
    SELECT key, claimed_on, count(*) AS n
      FROM freed CROSS JOIN LATERAL (VALUES ('t' || transport_id), ('t' || transport_id || ':' || pool)) AS k(key)
     GROUP BY key, claimed_on
), locked AS (
    SELECT a.key, back.n FROM dispatch_allowance a JOIN back ON back.key = a.key AND back.claimed_on = a.day
     ORDER BY a.key FOR UPDATE OF a
)
UPDATE dispatch_allowance a SET spent = greatest(0, a.spent - locked.n) FROM locked WHERE a.key = locked.key
"""


# By their ids first: joined to a list, a queue that looks short by its statistics is read whole.
_THESE = """
    e.message_id = ANY (%s) AND (e.message_id, e.fence) IN (SELECT * FROM unnest(%s::bigint[], %s::bigint[]))
"""


def _named(claims: Sequence[Claim]) -> list[list[int]]:
    """Return the parameters of `_THESE`."""
    ids, fences = [list(column) for column in zip(*claims, strict=True)]
    return [ids, ids, fences]


def release(claims: Sequence[Claim]) -> None:
    """Give back claims, unspent; by fence alone, so a mark that may have landed is cleared (W9)."""
    if not claims:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH freed AS (
                UPDATE outbox_queueentry e SET worker_id = NULL, fence = NULL, marked_at = NULL
                 WHERE {_THESE}
                RETURNING e.transport_id, e.pool, e.claimed_on
            {_GIVE_BACK}
            """,  # noqa: S608 - constants
            _named(claims),
        )


def give_numbers_back(jobs: Sequence[Job]) -> None:
    """Return what claims took from their day's number that ended before anybody was spoken to."""
    if not jobs:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH freed AS (
                SELECT * FROM unnest(%s::bigint[], %s::text[], %s::date[]) AS v(transport_id, pool, claimed_on)
            {_GIVE_BACK}
            """,  # noqa: S608 - a constant
            [
                [job.transport_id for job in jobs],
                [job.pool for job in jobs],
                [job.counted_on for job in jobs],
            ],
        )


def release_behind(claims: Sequence[Claim]) -> None:
    """Give back claims as `release` does, behind all that is due: what stopped the others must not be the next again."""
    if not claims:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE outbox_queueentry e SET due_at = greatest(e.due_at, clock_timestamp())
             WHERE {_THESE}
            """,  # noqa: S608 - a constant
            _named(claims),
        )
    release(claims)


def release_claims_since(fence: int, *, worker_id: int) -> None:
    """Give back what a worker claimed after `fence` and has not marked: the answer to that claim never reached it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH freed AS (
                UPDATE outbox_queueentry SET worker_id = NULL, fence = NULL
                 WHERE worker_id = %s AND fence > %s AND marked_at IS NULL
                RETURNING transport_id, pool, claimed_on
            {_GIVE_BACK}
            """,  # noqa: S608 - a constant
            [worker_id, fence],
        )


def release_claims_of_the_gone() -> None:
    """Give back what dead or stopped workers claimed and never marked.

    One statement: a mark that commits beside it is seen under the row's lock, and stays for the sweep to settle.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH freed AS (
                UPDATE outbox_queueentry e SET worker_id = NULL, fence = NULL
                  FROM dispatch_worker w
                 WHERE w.id = e.worker_id AND (w.dead_at IS NOT NULL OR w.stopped_at IS NOT NULL)
                   AND e.marked_at IS NULL
                RETURNING e.transport_id, e.pool, e.claimed_on
            {_GIVE_BACK}
            """,  # noqa: S608 - a constant
        )
