"""Answers for pages that can't be made: 503 where the database is away or takes no changes, else Django's 500."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import Error, InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.defaults import server_error

RETRY_AFTER_SECONDS = "5"
# connection exceptions, a shutdown or a start in progress, too many connections, a transaction that was silent for too long,
# since this process was frozen (PostgreSQL's appendix A)
_SILENT = "25P03"
_AWAY = ("08", "57P", "53300", _SILENT)
_READ_ONLY = "25006"  # a server that only follows another, or one that was told so
# deadlocks, a full disk or memory, a lock that somebody else keeps: none is the statement's own; that it needs more files
# than temp_file_limit lets it write is (53400)
_PASSING = ("40", "53100", "53200", "55P03", _READ_ONLY)


def page_not_made(request: HttpRequest) -> HttpResponse:
    """Return the page for an error of ours, as `handler500`: what is raised is still being handled."""
    error = sys.exc_info()[1]
    if not (is_away(error) or is_read_only(error)):
        return server_error(request)
    answer = render(request, "503.html", {"is_read_only": is_read_only(error)}, status=503)
    answer["Retry-After"] = RETRY_AFTER_SECONDS
    return answer


def is_away(error: BaseException | None) -> bool:
    """Tell whether `error` says that the database could not be asked, rather than that it said no."""
    if not isinstance(error, Error):
        return False
    state = state_of(error)
    if state is None:
        return isinstance(error, OperationalError | InterfaceError)
    return state.startswith(_AWAY)


def is_read_only(error: BaseException | None) -> bool:
    """Tell whether `error` says that the database answers and takes no changes."""
    return isinstance(error, Error) and state_of(error) == _READ_ONLY


@contextmanager
def taking_read_only_for_away() -> Iterator[None]:
    """Have a database that takes no changes raise as one that is away; Django takes it for an error of the statement."""
    try:
        yield
    except InternalError as error:
        if is_read_only(error):
            raise OperationalError(*error.args) from error.__cause__
        raise


def will_pass(error: Exception) -> bool:
    """Tell whether `error` comes of what the database's server or others do just now, and not of what it was asked."""
    state = state_of(error) if isinstance(error, Error) else None
    return is_away(error) or (state is not None and state.startswith(_PASSING))


def was_silent(error: Exception) -> bool:
    """Tell whether the server ended a transaction of this process in which nothing was said for too long."""
    return isinstance(error, Error) and state_of(error) == _SILENT


def state_of(error: Error) -> str | None:
    """Return the server's SQLSTATE for it, where it said one."""
    return error.__cause__.sqlstate if isinstance(error.__cause__, psycopg.Error) else None
