"""Copies the embedded database to a file while it is used, and puts such a file in its place while it is not."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from django.db.models import Model
from psycopg import sql

from mailops.dispatch.models import Lineage
from mailops.installation.sole_use import InUse, sole_use_of
from mailops.lib.postgres import DATA, PostgresError, ProgramFailed, Server
from mailops.outbox.models import Message

RESTORED = "data.restored"  # until it is whole
MAGIC = b"PGDMP"  # what each file of `pg_dump --format=custom` begins with


class NoBackup(Exception):
    """A file can't become the database; the text says why and what to do, `technical` what PostgreSQL said of it."""

    def __init__(self, sentence: str, technical: str = "") -> None:
        super().__init__(sentence)
        self.technical = technical


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

    It is made beside it and takes its place once it is whole. Raise NoBackup, InUse while mailops runs, PostgresError
    or OSError.
    """
    with opened(file) as dump, sole_use_of(home):
        server = Server(home, binaries=binaries, data=RESTORED)
        _remove_unfinished(server.data)  # of a try that was cut
        try:
            server.start()
            _load(server, dump, file)
            lineage = _lineage(server)
        except BaseException:
            server.stop()
            _remove_unfinished(server.data)
            raise
        server.stop()
        return Restored(_exchange(server.data), lineage)


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """Open what may be a backup, by its first octets; raise NoBackup."""
    try:
        dump = file.open("rb", buffering=0)  # its place is pg_restore's, too
    except FileNotFoundError as error:
        raise NoBackup(f"There is no file {file}. Name one that back_up wrote.") from error
    except IsADirectoryError as error:
        raise NoBackup(f"{file} is a folder. Name a file that back_up wrote.") from error
    except PermissionError as error:
        raise NoBackup(f"You may not read {file}. Let the user that calls this read it.") from error
    with dump:
        if dump.seekable():
            begin = dump.read(len(MAGIC))
            if not begin:
                raise NoBackup(f"{file} is empty. Take another backup.")
            if begin != MAGIC:
                raise NoBackup(f"{file} is no backup. Name a file that back_up wrote.")
            dump.seek(0)
        yield dump


def _load(server: Server, dump: IO[bytes], file: Path) -> None:
    try:
        server.load(dump)
    except ProgramFailed as error:
        raise NoBackup(_why_not(server, dump, file, error.said), error.said) from error
    if not (_has(server, Lineage) or _has(server, Message)):
        raise NoBackup(f"{file} is a backup, but not of mailops. Name a file that back_up wrote.")


def _why_not(server: Server, dump: IO[bytes], file: Path, said: str) -> str:
    if _is_newer(server, dump, said):
        return (
            f"{file} is of a newer PostgreSQL than the one here. Install the requirements of the mailops that made it, "
            "then restore it again."
        )
    if "could not execute query" in said or "COPY failed" in said:
        return f"PostgreSQL could not make a database of {file}. Mend what it names below, or take another backup."
    if not dump.seekable():
        return f"What came through {file} is damaged or not whole. See whether what writes into it failed, then begin anew."
    return f"{file} is damaged or not whole. Copy it anew from where you keep it, or take another backup."


def _is_newer(server: Server, dump: IO[bytes], said: str) -> bool:
    """Tell whether a newer version wrote it, as far as that can be seen: a pipe gives nothing twice."""
    if not dump.seekable():
        return "unsupported version" in said
    dump.seek(0)
    return server.is_older_than(dump)


def _has(server: Server, model: type[Model]) -> bool:
    with server.connect() as connection:
        table = model._meta.db_table  # noqa: SLF001 - Django's documented name
        return connection.execute("SELECT to_regclass(%s)", [table]).fetchone() != (None,)


def _lineage(server: Server) -> str:
    if not _has(server, Lineage):
        return ""  # of a time before there were any
    with server.connect() as connection:
        table = Lineage._meta.db_table  # noqa: SLF001 - Django's documented name
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
