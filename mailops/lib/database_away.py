"""Answers for pages that can't be made: 503 where the database is away, else Django's 500."""

import sys

import psycopg
from django.db import Error, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.defaults import server_error

RETRY_AFTER_SECONDS = "5"
# connection exceptions, a shutdown or a start in progress, too many connections, a transaction that was silent for too long,
# since this process was frozen (PostgreSQL's appendix A)
_SILENT = "25P03"
_AWAY = ("08", "57P", "53300", _SILENT)
# deadlocks, a full disk or memory, a lock that somebody else keeps: none is the statement's own; that it needs more files
# than temp_file_limit lets it write is (53400)
_PASSING = ("40", "53100", "53200", "55P03")


def page_not_made(request: HttpRequest) -> HttpResponse:
    """Return the page for an error of ours, as `handler500`: what is raised is still being handled."""
    if not is_away(sys.exc_info()[1]):
        return server_error(request)
    answer = render(request, "503.html", status=503)
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
