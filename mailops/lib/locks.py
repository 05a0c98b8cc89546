"""Locks: one process at a time does a tick's work, the others pass it by; of two presses one deletes a row."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar
from zlib import crc32

from django.core.exceptions import ObjectDoesNotExist
from django.db import Error, OperationalError, connection, transaction
from django.db.models import Model, QuerySet

from mailops.lib.database_away import state_of

T = TypeVar("T")
M = TypeVar("M", bound=Model)

TIMES = 3  # that something is tried which loses its deadlocks
_DEADLOCK = "40P01"
FROZEN = "5min"  # without a question to the database: no work under a lock takes so long
_TRY, _WAIT = "SELECT pg_try_advisory_lock(%s)", "SELECT TRUE FROM pg_advisory_lock(%s)"


def lock_row(row: Model) -> bool:
    """Lock `row` until the transaction ends, and tell whether it is still there: another press may have been first."""
    rows = type(row)._default_manager.select_for_update()  # noqa: SLF001
    return rows.filter(pk=row.pk).values_list("pk").first() is not None


def keep_rows(*rows: Model) -> None:
    """Keep `rows` from being deleted until the transaction ends; raise ObjectDoesNotExist for one that is gone already.

    What refers to a row is only compared with it at the end of the transaction: too late to tell a person.
    """
    with connection.cursor() as cursor:
        for row in rows:
            found = type(row)._default_manager.filter(pk=row.pk).values("pk")  # noqa: SLF001
            sql, names = found.query.sql_with_params()
            cursor.execute(f"{sql} FOR KEY SHARE", names)
            if cursor.fetchone() is None:
                raise ObjectDoesNotExist(f"{row} was deleted.")


def kept(rows: QuerySet[M]) -> list[M]:
    """Return `rows`, none of which can be deleted until the transaction ends; nobody waits for it who does not delete."""
    sql, given = rows.values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} FOR KEY SHARE", given)
        ids = [pk for (pk,) in cursor.fetchall()]
    return list(rows.filter(pk__in=ids))


def despite_deadlocks(act: Callable[[], T]) -> T:
    """Return what `act` returns, done again where the database broke it off to end a deadlock; outermost callers only."""
    for _ in range(TIMES - 1):
        try:
            return act()
        except OperationalError as error:
            if state_of(error) != _DEADLOCK:
                raise
    return act()


@contextmanager
def advisory_lock(name: str) -> Iterator[bool]:
    """Yield whether this process has `name` to itself; held for one transaction, never waited for."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [crc32(name.encode())])
            (is_ours,) = cursor.fetchone()
        yield bool(is_ours)


@contextmanager
def session_lock(name: str, *, waits: bool = False) -> Iterator[bool]:
    """Yield whether this process has `name` to itself, over several transactions; never waited for, unless this `waits`."""
    key = crc32(name.encode())
    with connection.cursor() as cursor:
        cursor.execute(_WAIT if waits else _TRY, [key])
        (is_ours,) = cursor.fetchone()
        if is_ours:  # a process that is frozen with it loses it
            cursor.execute("SELECT set_config('idle_session_timeout', %s, FALSE)", [FROZEN])
    try:
        yield bool(is_ours)
    finally:
        # After a lost connection the server has released the lock itself, and there is nothing to unlock.
        if is_ours and connection.connection is not None and not connection.connection.closed:
            with suppress(Error), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
                cursor.execute("RESET idle_session_timeout")
