"""What the database server has done: transactions, syncs, journal, and the size of tables."""

import time

from bench.stage import Stage

# what a process has done it tells the server at most once a second
TOLD_AFTER_SECONDS = 1.5

_WORK = """
SELECT d.xact_commit, d.xact_rollback, d.tup_inserted, d.tup_updated, d.tup_deleted, d.tup_fetched,
       w.wal_bytes::float8, (SELECT coalesce(sum(fsyncs), 0)::float8 FROM pg_stat_io WHERE object = 'wal')
  FROM pg_stat_database d, pg_stat_wal w WHERE d.datname = 'mailops'
"""
_NAMES = (
    "transactions",
    "rollbacks",
    "rows inserted",
    "rows updated",
    "rows deleted",
    "rows fetched",
    "octets of journal",
    "syncs of the journal",
)

_STATEMENTS = """
SELECT calls::float8, total_exec_time * 1000, total_plan_time * 1000, rows::float8,
       left(regexp_replace(query, '\\s+', ' ', 'g'), 110)
  FROM pg_stat_statements ORDER BY total_exec_time + total_plan_time DESC LIMIT 25
"""

_SIZES = """
SELECT relname, pg_table_size(oid)::float8, pg_indexes_size(oid)::float8
  FROM pg_class WHERE relkind = 'r' AND relname LIKE 'outbox_%' ORDER BY relname
"""


def work_of(stage: Stage) -> dict[str, float]:
    """Return counters of what the server has done since its start."""
    time.sleep(TOLD_AFTER_SECONDS)
    return dict(zip(_NAMES, map(float, stage.query(_WORK)[0]), strict=True))


def work_between(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in after}


def begin_watching(stage: Stage) -> None:
    stage.query("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    stage.query("SELECT pg_stat_statements_reset()")


def statements(stage: Stage) -> list[tuple[float, float, float, float, str]]:
    """Return the costliest statements: calls, microseconds of running and of planning, rows, and their beginning."""
    return [
        (calls, run, plan, rows, text) for calls, run, plan, rows, text in stage.query(_STATEMENTS)
    ]


def sizes(stage: Stage) -> dict[str, tuple[float, float]]:
    """Return the megabytes of each table of the ledger, and of its indexes."""
    return {name: (table / 1e6, index / 1e6) for name, table, index in stage.query(_SIZES)}
