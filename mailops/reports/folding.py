"""Folds the outbox's tallies into counts: each tally is deleted in the statement that counts it, so exactly once.

What was added waits as a delta for being rolled up (`reports.rolling`). What would change a day that is sealed, such as
a reply of then that is understood otherwise now, is left out.
"""

from mailops.lib.locks import advisory_lock
from mailops.outbox.ledger import fetch_first
from mailops.outbox.models import CountKey

COUNTS = "reports.counts"  # the lock of whoever moves counts: one process at a time
CHUNK = 5_000  # tallies in one transaction, a fraction of a second
CHUNKS = 40  # in one tick

_KEY = ", ".join(CountKey.KEY)
# A status has no time: its deltas of all quarter hours are one number.
_WITHOUT_TIME = _KEY.replace(
    "bucket_at",
    "CASE measure WHEN 'status' THEN TIMESTAMPTZ '2000-01-01 00:00Z' ELSE bucket_at END AS bucket_at",
    1,
)
# Latencies are counted for named providers only, and for all versions together.
_LATENCY = """
    SELECT bucket_at, cohort_at, {measure}, slot::text, '', stream_id, campaign_id, transport_id, domain_id, NULL::bigint,
           CASE WHEN strpos(mailbox_provider, '.') = 0 THEN mailbox_provider ELSE '' END, 1
      FROM gone CROSS JOIN unnest({slots}) slot
"""
_FOLD = f"""
WITH gone AS (
    DELETE FROM outbox_tally WHERE id IN (SELECT id FROM outbox_tally ORDER BY id LIMIT %s)
    RETURNING {_KEY}, n, took, waited
), told AS (
    SELECT {_WITHOUT_TIME}, n FROM gone
    UNION ALL {_LATENCY.format(measure="CASE kind WHEN 'delivered' THEN 'arrive' ELSE 'accept' END", slots="took")}
    UNION ALL {_LATENCY.format(measure="'queue'", slots="waited")}
), summed AS (
    SELECT {_KEY}, sum(n) AS n FROM told
     WHERE measure = 'status' OR bucket_at >= coalesce(((SELECT max(day) FROM reports_seal) + 1)::timestamp
                                                       AT TIME ZONE 'UTC', '-infinity')
     GROUP BY {_KEY}
), staged AS (
    INSERT INTO reports_delta ({_KEY}, n) SELECT {_KEY}, n FROM summed WHERE measure <> 'status'
), folded AS (
    INSERT INTO reports_count AS c ({_KEY}, n) SELECT {_KEY}, n FROM summed
    ON CONFLICT ON CONSTRAINT count_key_once DO UPDATE SET n = c.n + EXCLUDED.n
)
SELECT count(*) FROM gone
"""  # noqa: S608 - column names of our own


def fold_tallies(*, chunk: int = CHUNK, chunks: int = CHUNKS) -> int:
    """Fold what waits, at most `chunks` times `chunk`; return how many tallies were. Passes where another folds."""
    return work_off(_FOLD, chunk=chunk, chunks=chunks)


def work_off(statement: str, *, chunk: int, chunks: int) -> int:
    """Run a statement that takes at most `chunk` rows and says how many, until fewer are left; return their sum.

    One process at a time is at the counts; where another is, this one leaves the rest to it.
    """
    total = 0
    for _ in range(chunks):
        with advisory_lock(COUNTS) as is_ours:
            if not is_ours:
                return total
            (taken,) = fetch_first(statement, [chunk])
        total += int(taken)
        if taken < chunk:
            return total
    return total
