"""Copies the embedded database to a file while it is used, and puts such a file in its place while it is not."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql

from mailops.dispatch.models import Lineage
from mailops.installation.sole_use import InUse, sole_use_of
from mailops.lib.postgres import DATA, PostgresError, Server

RESTORED = "data.restored"  # until it is whole


def back_up(*, home: Path, binaries: Path | None, file: Path) -> None:
    """Write the database to `file`, whether mailops runs or not; what was in it stays until the new one is whole.

    Raise PostgresError or OSError.
    """
    server = Server(home, binaries=binaries)
    if not (server.data / "PG_VERSION").exists():
        raise PostgresError(
            f"There is no embedded database in {home}. Is MAILOPS_HOME the right one?"
        )
    beside = file.with_name(f"{file.name}.new")
    with _running(server), _removed_where_it_fails(beside):
        with os.fdopen(
            os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
        ) as output:
            server.dump(output)
            os.fsync(output.fileno())
        beside.replace(file)


@contextmanager
def _running(server: Server) -> Iterator[None]:
    """Use the server of a mailops that runs, or start it for as long as it is needed."""
    try:
        with sole_use_of(server.home):
            server.start()
            try:
                yield
            finally:
                server.stop()
    except InUse:
        yield


@contextmanager
def _removed_where_it_fails(file: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class Restored:
    kept: Path | None  # where the database is that was there before
    lineage: str  # empty where it never sent


def restore(*, home: Path, binaries: Path | None, file: Path) -> Restored:
    """Put the database that `file` holds in the place of the one that stands there.

    It is made beside it and takes its place once it is whole. Raise InUse while mailops runs, PostgresError or OSError.
    """
    with sole_use_of(home), file.open("rb") as dump:
        server = Server(home, binaries=binaries, data=RESTORED)
        _remove_unfinished(server.data)  # of a try that was cut
        try:
            server.start()
            server.load(dump)
            lineage = _lineage(server)
        except BaseException:
            server.stop()
            _remove_unfinished(server.data)
            raise
        server.stop()
        return Restored(_exchange(server.data), lineage)


def _lineage(server: Server) -> str:
    with server.connect() as connection:
        table = Lineage._meta.db_table  # noqa: SLF001 - Django's documented name
        if connection.execute("SELECT to_regclass(%s)", [table]).fetchone() == (None,):
            return ""  # of a time before there were any
        found = connection.execute(sql.SQL("SELECT id FROM {}").format(sql.Identifier(table)))
        row = found.fetchone()
    return str(row[0]) if row else ""


def _exchange(restored: Path) -> Path | None:
    standing = restored.with_name(DATA)
    kept = None
    if standing.exists():
        kept = restored.with_name(f"{DATA}.before-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        standing.rename(kept)
    restored.rename(standing)
    return kept


def _remove_unfinished(data: Path) -> None:
    for folder in data.parent.glob(f"{data.name}*"):
        shutil.rmtree(folder)
