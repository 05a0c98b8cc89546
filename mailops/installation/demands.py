"""What mailops demands of a database before it touches it: without these, promises break later and in silence."""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

LEAST_VERSION = (
    15  # which knows NULLS NOT DISTINCT: without it, what is counted once would be counted twice
)
SESSION = "SELECT pg_backend_pid()"
TURNS = 3  # for poolers that lend one session after another


def unmet_demands() -> Iterator[str]:
    """Yield a sentence for each demand that the database doesn't meet, with what to do."""
    version = int(_answer(connection, "SHOW server_version_num")) // 10_000
    if version < LEAST_VERSION:
        yield (
            f"The server is PostgreSQL {version}, and mailops needs {LEAST_VERSION} or later. Move the database to a newer server."
        )
    encoding = _answer(connection, "SHOW server_encoding")
    if encoding != "UTF8":
        yield (
            f"The database is encoded in {encoding}, which can't hold every name. Make it with ENCODING 'UTF8'."
        )
    if newer := _newer_migrations():
        yield (
            f"A newer mailops has migrated this database ({', '.join(newer)}). Start that version, or restore the backup "
            "that was made before the upgrade."
        )
    if _sessions_are_lent():
        yield (
            "Between mailops and the server is a pooler that lends sessions for one transaction each. mailops locks by its "
            "sessions and sets them up: give the pool pool_mode = session, or lead DATABASE_URL to the server itself."
        )


def _newer_migrations() -> list[str]:
    """Return those that the database has seen and that come after the last of their app in this version."""
    loader = MigrationLoader(connection)
    last: dict[str, str] = {}
    for app, name in loader.disk_migrations or ():
        last[app] = max(last.get(app, ""), name)
    applied = loader.applied_migrations or {}
    return sorted(f"{app} {name}" for app, name in applied if name > last.get(app, name))


def _sessions_are_lent() -> bool:
    """Tell whether of two connections that are open at once each has not a session of the server to itself."""
    with closing(_another_connection()) as one, closing(_another_connection()) as other:
        return are_lent(partial(_answer, one, SESSION), partial(_answer, other, SESSION))


def are_lent(one: Callable[[], Any], other: Callable[[], Any]) -> bool:
    """Tell by the sessions that two connections name, in turns, whether each keeps one of its own."""
    named = [(one(), other()) for _ in range(TURNS)]
    mine, others = (set(sessions) for sessions in zip(*named, strict=True))
    return len(mine) > 1 or len(others) > 1 or mine == others


def _another_connection() -> BaseDatabaseWrapper:
    return connections.create_connection(DEFAULT_DB_ALIAS)


def _answer(database: BaseDatabaseWrapper, question: str) -> Any:
    with database.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]
