"""Says to whoever typed a command what is wrong with it, or with the database, in a sentence and without a trace."""

import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.conf import settings
from django.core.management.base import CommandError
from django.db import Error, connection
from django.db.migrations.exceptions import MigrationSchemaMissing
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Model

from mailops.lib.database_away import is_away, is_read_only, state_of
from mailops.lib.env import WrongSettings

T = TypeVar("T")
Row = TypeVar("Row", bound=Model)

INTERRUPTED = 130  # as shells say it of SIGINT
_REFUSED = "42501"  # insufficient privilege
_LACKING = frozenset(
    {"42P01", "42703", "3F000"}
)  # a table, a column, a schema (PostgreSQL's appendix A)


def argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return a type for argparse by `parse`, whose ValueError is told; argparse itself would only name the function."""

    def read(raw: str) -> T:
        try:
            return parse(raw)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from error

    return read


def words(raw: str) -> str:
    """Return an argument that the database or a mail is to hold; raise ArgumentTypeError for octets of another encoding."""
    try:
        raw.encode()
    except UnicodeEncodeError as error:
        raise ArgumentTypeError(not_utf8(raw)) from error
    return raw


def not_utf8(raw: str) -> str:
    """Say that an argument is not UTF-8, in words that any terminal can show."""
    shown = raw.encode("utf-8", "backslashreplace").decode()
    return f"“{shown}” is not UTF-8; set your terminal to UTF-8 and type it again"


@contextmanager
def ending_in_a_sentence() -> Iterator[None]:
    """End this process with a sentence where a command could not do its work, unless a fault of ours is why."""
    try:
        yield
    except (CommandError, WrongSettings) as told:
        sys.exit(str(told))
    except Error as error:
        if trouble := trouble_of(error):
            sys.exit(trouble)
        raise
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


@contextmanager
def asking_the_database(*, returncode: int) -> Iterator[None]:
    """Raise CommandError with `returncode` where the database can't be asked: a build must not take it for a finding."""
    try:
        yield
    except Error as error:
        sentence = trouble_of(error) or f"The database could not be asked: {_told(error)}"
        raise CommandError(sentence, returncode=returncode) from error


def named(model: type[Row], name: str, *, returncode: int) -> Row:
    """Return the row of that name; raise CommandError with `returncode`, and the names that there are, where none has it."""
    rows = model._default_manager.order_by("name")  # noqa: SLF001 - Django's documented name
    row = rows.filter(name=name).first()
    if row is None:
        there_are = ", ".join(f"“{each}”" for each in rows.values_list("name", flat=True))
        raise CommandError(
            f"There is no {model._meta.verbose_name} “{name}”; there are: {there_are or 'none'}.",  # noqa: SLF001
            returncode=returncode,
        )
    return row


def trouble_of(error: Error) -> str | None:
    """Return why the database can't be worked with, and what to do; None where a statement of ours is at fault."""
    error = _unwrapped(error)
    if is_away(error):
        return f"The database could not be asked: {_told(error)}. {_how_to_reach_it()}"
    if is_read_only(error):
        return (
            f"The database takes no changes: {_told(error)}. It follows another server, or was told so"
            " (default_transaction_read_only): give the address of the one that takes them, in DATABASE_URL."
        )
    state = state_of(error)
    if state == _REFUSED:
        return (
            f"The database refuses it to this role: {_told(error)}. mailops makes tables and a schema:"
            " let its role own the database (ALTER DATABASE … OWNER TO …)."
        )
    if state in _LACKING and (missing := _missing_migrations()):
        return (
            f"The tables are not those of this version of mailops: {missing} migrations are missing."
            " Start mailops anew (make up), which migrates first; or run manage.py prepare."
        )
    return None


def _how_to_reach_it() -> str:
    if settings.MAILOPS_IS_EMBEDDED:
        return "It runs with mailops: start that (make up), or set MAILOPS_HOME or DATABASE_URL to those you mean."
    return "See whether the server runs, and DATABASE_URL."


def _missing_migrations() -> int:
    """Return how many migrations of this version the database has not seen."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _told(error: Error) -> str:
    """Return what the server or libpq said, without their hints and quotations."""
    return str(error).strip().partition("\n")[0].rstrip(".")


def _unwrapped(error: Error) -> Error:
    """Return what the server said where Django could not make even the table of its migrations."""
    said = error.__context__
    return said if isinstance(error, MigrationSchemaMissing) and isinstance(said, Error) else error
