"""Rolls counts up into longer steps of one column, or two, so that a chart reads few rows however much was sent.

What was added to counts waits as deltas, which readers add: a rollup may come late, and each delta is deleted in the
statement that rolls it up.
"""

from mailops.outbox.models import CountKey
from mailops.reports.dimensions import EXPANDED
from mailops.reports.folding import work_off

CHUNK = 4_000  # deltas in one transaction: each is up to 48 rollups

_KEY = ", ".join(CountKey.KEY)
_ROLL_UP = f"""
WITH gone AS (
    DELETE FROM reports_delta WHERE id IN (SELECT id FROM reports_delta ORDER BY id LIMIT %s) RETURNING {_KEY}, n
), summed AS (
    SELECT {_KEY}, sum(n) AS n FROM gone GROUP BY {_KEY}
), expanded AS (
    SELECT step, dimension, value, other, at, measure, kind, reason, sum(n) AS n
      FROM ({EXPANDED.format(source="summed")}) e GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
), rolled AS (
    INSERT INTO reports_rollup AS r (step, dimension, value, other, at, measure, kind, reason, n)
    SELECT * FROM expanded WHERE measure = 'event'
    ON CONFLICT ON CONSTRAINT rollup_once DO UPDATE SET n = r.n + EXCLUDED.n
), measured AS (
    INSERT INTO reports_rolledhistogram AS h (step, dimension, value, at, measure, slots, counts)
    SELECT step, dimension, value, at, measure, array_agg(kind::smallint), array_agg(n::bigint)
      FROM expanded WHERE measure <> 'event' GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT ON CONSTRAINT histogram_once DO UPDATE SET (slots, counts) = (
        SELECT array_agg(slot ORDER BY slot), array_agg(n ORDER BY slot) FROM (
            SELECT slot, sum(n)::bigint AS n FROM (
                SELECT * FROM unnest(h.slots, h.counts)
                UNION ALL SELECT * FROM unnest(EXCLUDED.slots, EXCLUDED.counts)) both_sides(slot, n) GROUP BY slot) merged)
)
SELECT count(*) FROM gone
"""  # noqa: S608 - names of our own


def roll_up(*, chunk: int = CHUNK, chunks: int = 5) -> int:
    """Roll up what waits, at most `chunks` times `chunk`; return how many deltas. Passes where another is at the counts."""
    return work_off(_ROLL_UP, chunk=chunk, chunks=chunks)
