"""What every test stands on: real PostgreSQL, loopback only, and the fixed cast of users."""

import os
import shutil
import time

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations
from django.template.base import Template
from django.test import Client
from hypothesis import settings as hypothesis
from kombu import pools
from whitenoise.middleware import WhiteNoiseMiddleware

from mailops.accounts.models import Role, User
from mailops.accounts.sessions import SessionStore
from mailops.celery import app
from mailops.domains.signing import forget_signers
from mailops.lib import broker
from mailops.lib.postgres import Server
from tests.browser import chromium, open_page, windows  # noqa: F401 - fixtures
from tests.meanwhile import meanwhile  # noqa: F401 - fixture

# Debian keeps servers where a plain user's PATH does not look
UNPACKED = "/opt/mail-servers/exim/usr/sbin:/opt/mail-servers/opensmtpd/usr/sbin"  # by .ci/run
PROGRAM_PATH = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin:/usr/lib/dovecot:{UNPACKED}"
PASSWORD = "correct horse battery staple"

# a busy machine is no bug, and what must be quick is measured in a processor's time
hypothesis.register_profile("mailops", deadline=None)
hypothesis.load_profile("mailops")


def pytest_configure(config):
    """Start the tests' own PostgreSQL where no DATABASE_URL names one; xdist's workers share it."""
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns of a missing one
    if hasattr(config, "workerinput"):
        return
    config.add_cleanup(lambda: shutil.rmtree(settings.MAILOPS_HOME, ignore_errors=True))
    if settings.MAILOPS_IS_EMBEDDED and not config.option.collectonly:
        server = Server(settings.MAILOPS_HOME, is_durable=False)
        server.start()
        config.add_cleanup(server.stop)


def pytest_addoption(parser):
    parser.addoption("--nothing-skips", action="store_true", help="a skipped test is a failure")


def pytest_runtest_setup(item):
    """Skip a test whose program isn't here, with the program's name."""
    for mark in item.iter_markers("needs"):
        (program,) = mark.args
        if not shutil.which(program, path=PROGRAM_PATH):
            pytest.skip(f"needs {program}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Make a skip a failure where nothing may skip."""
    report = yield
    if report.skipped and item.config.option.nothing_skips and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: {report.longrepr[2]}"
    return report


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Make the broker's queues in the test database, and send hints there."""
    with django_db_blocker.unblock():
        broker.install(settings.CELERY_TASK_QUEUES)
        app.conf.broker_transport_options = broker.transport_options(connection.settings_dict)
    yield
    pools.reset()  # a test that sent a hint left connections open, which keep the database from being dropped
    app.close()


@pytest.fixture(scope="session", autouse=True)
def quick_flush():
    """Empty tables after a test by DELETE, of those that hold something: to truncate all takes fifty times as long.

    Triggers, which would refuse some of it, are passed over; a database that doesn't allow that is truncated.
    """

    def sql_flush(self, style, tables, *, reset_sequences=False, allow_cascade=False):
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT has_parameter_privilege('session_replication_role', 'SET')")
            (may_pass_over,) = cursor.fetchone()
        if reset_sequences or not may_pass_over:
            return truncate(
                self, style, tables, reset_sequences=reset_sequences, allow_cascade=allow_cascade
            )
        deletes = "".join(
            f"IF EXISTS (SELECT FROM {name}) THEN DELETE FROM {name}; END IF; "
            for name in map(self.quote_name, sorted(tables))
        )
        passing_over = "PERFORM set_config('session_replication_role', 'replica', TRUE);"
        return [f"DO $$ BEGIN {passing_over} {deletes} END $$"]

    truncate = DatabaseOperations.sql_flush
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", sql_flush)
        yield


@pytest.fixture(scope="session", autouse=True)
def files_found_once():
    """Look for static files once: each test client makes the middleware anew, which would look at all of them."""
    find = WhiteNoiseMiddleware.add_files_from_finders
    found = {}

    def add_files_from_finders(self):
        if not found:
            find(self)
            found.update(self.files)
        self.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", add_files_from_finders)
        yield


@pytest.fixture(scope="session", autouse=True)
def widgets_untold(django_test_environment):
    """Keep Django from noting for each response which templates its widgets used, and with what: nobody asks."""
    tell = Template._render

    def render(self, context):
        if (self.name or "").startswith("django/forms/"):
            return self.nodelist.render(context)
        return tell(self, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "_render", render)
        yield


@pytest.fixture
def no_signers():
    """No signing keys in memory, before and after: they would outlive their rows."""
    forget_signers()
    yield
    forget_signers()


def _user(role: str, name: str) -> User:
    return User.objects.create_user(f"{name}@example.com", PASSWORD, name=name.title(), role=role)


@pytest.fixture
def admin(db):
    return _user(Role.ADMIN, "admin")


@pytest.fixture
def operator(db):
    return _user(Role.OPERATOR, "operator")


@pytest.fixture
def editor(db):
    return _user(Role.EDITOR, "editor")


@pytest.fixture
def oncall(db):
    return _user(Role.ONCALL, "oncall")


@pytest.fixture
def viewer(db):
    return _user(Role.VIEWER, "viewer")


@pytest.fixture
def stranger(db):
    return _user(Role.NONE, "stranger")


@pytest.fixture
def logged_in():
    """Return a function that gives a client logged in as a user, with its password just confirmed."""

    def log_in(user: User) -> Client:
        session = SessionStore()
        session.update(
            {
                SESSION_KEY: str(user.pk),
                BACKEND_SESSION_KEY: "allauth.account.auth_backends.AuthenticationBackend",
                HASH_SESSION_KEY: user.get_session_auth_hash(),
                AUTHENTICATION_METHODS_SESSION_KEY: [{"method": "password", "at": time.time()}],
                "account_authentication_methods_user": str(user.pk),
            }
        )
        session.create()
        client = Client()
        client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key or ""
        return client

    return log_in
