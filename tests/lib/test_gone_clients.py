"""Locks of a client that is frozen, or gone without a word, are let go by the server."""

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections

from mailops.accounts.models import AuditEntry
from mailops.lib import gone_clients, locks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def frozen(monkeypatch):
    """Return another process's connection, of which nothing more is heard once it was used."""
    patience = {**gone_clients.PATIENCE, "idle_in_transaction_session_timeout": "50ms"}
    monkeypatch.setattr(gone_clients, "PATIENCE", patience)
    monkeypatch.setattr(locks, "FROZEN", "50ms")
    other = connections.create_connection("default")
    yield other
    other.close()


def wait_for(sql):
    """Do what waits for the other's lock; fail where that stays."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '60s'")
        cursor.execute(sql)
    connection.close()


def test_what_a_frozen_process_locked_in_a_transaction_is_let_go(frozen):
    frozen.ensure_connection()
    frozen.set_autocommit(False)
    with frozen.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {AuditEntry._meta.db_table}")
    wait_for(f"SELECT count(*) FROM {AuditEntry._meta.db_table}")


def test_what_it_has_to_itself_is_let_go(frozen, monkeypatch):
    monkeypatch.setattr(locks, "connection", frozen)
    held = locks.session_lock("a test's own")
    assert held.__enter__()
    monkeypatch.undo()
    with locks.session_lock("a test's own", waits=True) as is_ours:
        assert is_ours
    with pytest.raises(psycopg.Error):
        frozen.connection.execute("SELECT 1")


def test_who_had_it_is_watched_no_more():
    with locks.session_lock("a test's own"), connection.cursor() as cursor:
        cursor.execute("SHOW idle_session_timeout")
        assert cursor.fetchone() == (locks.FROZEN,)
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_session_timeout")
        assert cursor.fetchone() == ("0",)


def test_a_server_that_is_gone_is_noticed_too():
    options = settings.DATABASES["default"]["OPTIONS"]
    assert options["keepalives_idle"] < options["tcp_user_timeout"] / 1000 <= 60
