import psycopg
import pytest
from django.db import InterfaceError, InternalError, OperationalError, ProgrammingError
from psycopg import errors

from mailops.lib.database_away import is_away, taking_read_only_for_away, will_pass


@pytest.fixture
def visit(client, monkeypatch):
    """Return a function that visits a page whose making raises this."""
    client.raise_request_exception = False

    def visit(error):
        def fail(*_args, **_kwargs):
            raise error

        monkeypatch.setattr("mailops.accounts.views.render_page", fail)
        return client.get("/accounts/password/reset/")

    return visit


def from_psycopg(cause, kind=OperationalError):
    error = kind("it went wrong")
    error.__cause__ = cause
    return error


@pytest.mark.django_db
class TestPage:
    def test_says_that_the_database_is_away(self, visit):
        answer = visit(from_psycopg(psycopg.OperationalError("connection refused")))
        assert answer.status_code == 503
        assert answer["Retry-After"] == "5"
        assert "The database does not answer" in answer.content.decode()
        # the overview would need the database, too
        assert '<a class="button primary" href="">Look again</a>' in answer.text

    def test_says_that_the_database_takes_no_changes(self, visit):
        answer = visit(from_psycopg(errors.ReadOnlySqlTransaction("read-only"), InternalError))
        assert answer.status_code == 503
        assert "The database takes no changes" in answer.content.decode()

    def test_says_of_other_errors_that_they_are_ours(self, visit):
        answer = visit(ValueError("a bug"))
        assert answer.status_code == 500
        assert "Something broke on our side" in answer.content.decode()


class TestIsAway:
    @pytest.mark.parametrize(
        "error",
        [
            from_psycopg(psycopg.OperationalError("the server closed the connection")),
            from_psycopg(errors.AdminShutdown("terminating connection")),
            from_psycopg(errors.CannotConnectNow("the database system is starting up")),
            from_psycopg(errors.TooManyConnections("sorry")),
            from_psycopg(errors.IdleInTransactionSessionTimeout("terminating"), InternalError),
            from_psycopg(psycopg.InterfaceError("the connection is closed"), InterfaceError),
        ],
    )
    def test_where_it_could_not_be_asked(self, error):
        assert is_away(error)

    @pytest.mark.parametrize(
        "error",
        [
            from_psycopg(errors.DeadlockDetected("deadlock")),
            from_psycopg(errors.QueryCanceled("statement timeout")),
            from_psycopg(errors.DiskFull("no space left on device")),
            from_psycopg(errors.ReadOnlySqlTransaction("read-only"), InternalError),
            from_psycopg(errors.UndefinedTable("no such table"), ProgrammingError),
            ValueError("a bug"),
            None,
        ],
    )
    def test_not_where_it_said_no(self, error):
        assert not is_away(error)


def test_a_database_that_takes_no_changes_is_away_for_who_only_writes():
    @taking_read_only_for_away()
    def write(cause):
        raise from_psycopg(cause, InternalError)

    with pytest.raises(OperationalError) as raised:
        write(errors.ReadOnlySqlTransaction("read-only"))
    assert will_pass(raised.value)
    with pytest.raises(InternalError):
        write(errors.InternalError_("a bug"))
