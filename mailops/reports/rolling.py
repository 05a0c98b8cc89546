"""Rolls counts up into longer steps of one column, or two, so that a chart reads few rows however much was sent.

What was added to counts waits as deltas, which readers add: a rollup may come late, and each delta is deleted in the
statement that rolls it up.
"""

from django.db import connection

from mailops.lib.locks import advisory_lock
from mailops.outbox.models import CountKey
from mailops.reports.dimensions import EXPANDED

CHUNK = 10_000  # deltas in one transaction

_KEY = ", ".join(CountKey.KEY)
_ROLL_UP = f"""
WITH gone AS (
    DELETE FROM reports_delta WHERE id IN (SELECT id FROM reports_delta ORDER BY id LIMIT %s) RETURNING {_KEY}, n
), summed AS (
    SELECT {_KEY}, sum(n) AS n FROM gone GROUP BY {_KEY}
), rolled AS (
    INSERT INTO reports_rollup AS r (step, dimension, value, other, at, measure, kind, reason, n)
    SELECT step, dimension, value, other, at, measure, kind, reason, sum(n)
      FROM ({EXPANDED.format(source="summed")}) expanded GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ON CONFLICT ON CONSTRAINT rollup_once DO UPDATE SET n = r.n + EXCLUDED.n
)
SELECT count(*) FROM gone
"""  # noqa: S608 - names of our own


def roll_up(*, chunk: int = CHUNK, chunks: int = 10) -> int:
    """Roll up what waits, at most `chunks` times `chunk`; return how many deltas. Passes where another is at the counts."""
    total = 0
    for _ in range(chunks):
        with advisory_lock("reports.rollup") as is_ours:
            if not is_ours:
                return total
            with connection.cursor() as cursor:
                cursor.execute(_ROLL_UP, [chunk])
                rolled = int(cursor.fetchone()[0])
        total += rolled
        if rolled < chunk:
            return total
    return total
