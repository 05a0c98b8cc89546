from datetime import datetime, timedelta

import pytest
from celery.signals import beat_init, task_revoked, worker_ready
from django.db import connection

from mailops.lib import clock
from mailops.lib.clock import ClockTimestamp, database_now
from tests.factories import make_transport

pytestmark = pytest.mark.django_db


def test_goes_on_while_a_transaction_lasts():
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        (begin,) = cursor.fetchone()
    transport = make_transport(backoff_until=ClockTimestamp())
    transport.refresh_from_db()
    assert begin < transport.backoff_until < database_now()


class TestClockOfThisMachine:
    @pytest.fixture(autouse=True)
    def asked_anew(self):
        clock._tell_of_wrong_clock.cache_clear()
        yield
        clock._tell_of_wrong_clock.cache_clear()

    @pytest.fixture
    def set_clock(self, monkeypatch):
        def set_clock(seconds):
            class Clock(datetime):
                @classmethod
                def now(cls, tz=None):
                    return datetime.now(tz) + timedelta(seconds=seconds)

            monkeypatch.setattr(clock, "datetime", Clock)

        return set_clock

    @pytest.fixture
    def told(self, caplog):
        return lambda: [one.getMessage() for one in caplog.records if one.name == clock.__name__]

    @pytest.mark.parametrize("signal", [beat_init, worker_ready, task_revoked])
    @pytest.mark.parametrize(("seconds", "words"), [(31, "ahead of"), (-31, "behind")])
    def test_is_told_to_be_wrong_and_what_to_do(self, signal, seconds, words, set_clock, told):
        set_clock(seconds)
        signal.send(sender=None)
        (line,) = told()
        assert f" s {words} the database's" in line
        assert "NTP" in line

    def test_is_not_told_to_be_right(self, told):
        task_revoked.send(sender=None, request=None, terminated=False, signum=None, expired=True)
        assert told() == []

    def test_is_asked_for_once_however_many_hints_are_late(self, set_clock, told, monkeypatch):
        monkeypatch.setattr(clock, "ASK_SECONDS", 1e9)
        set_clock(31)
        for _ in range(3):
            task_revoked.send(sender=None, expired=True)
        assert len(told()) == 1

    def test_is_not_told_while_the_database_is_away(self, set_clock, told, monkeypatch):
        set_clock(31)
        monkeypatch.setitem(connection.settings_dict, "PORT", "1")
        connection.close()
        task_revoked.send(sender=None, expired=True)
        assert told() == []
