"""Folds the outbox's tallies into counts: each tally is deleted in the statement that counts it, so exactly once."""

from django.db import connection

from mailops.lib.locks import advisory_lock
from mailops.outbox.models import CountKey

CHUNK = 5_000  # tallies in one transaction, a fraction of a second
CHUNKS = 40  # in one tick

_KEY = ", ".join(CountKey.KEY)
_FOLD = f"""
WITH gone AS (
    DELETE FROM outbox_tally WHERE id IN (SELECT id FROM outbox_tally ORDER BY id LIMIT %s)
    RETURNING {_KEY}, n
), folded AS (
    INSERT INTO reports_count AS c ({_KEY}, n)
    SELECT {_KEY}, sum(n) FROM gone GROUP BY {_KEY}
    ON CONFLICT ON CONSTRAINT count_key_once DO UPDATE SET n = c.n + EXCLUDED.n
)
SELECT count(*) FROM gone
"""  # noqa: S608 - column names of our own


def fold_tallies(*, chunk: int = CHUNK, chunks: int = CHUNKS) -> int:
    """Fold what waits, at most `chunks` times `chunk`; return how many tallies were. Passes where another folds."""
    total = 0
    for _ in range(chunks):
        with advisory_lock("reports.rollup") as is_ours:
            if not is_ours:
                return total
            with connection.cursor() as cursor:
                cursor.execute(_FOLD, [chunk])
                folded = int(cursor.fetchone()[0])
        total += folded
        if folded < chunk:
            return total
    return total
