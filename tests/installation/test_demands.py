from itertools import cycle

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from mailops.installation import demands
from mailops.installation.demands import are_lent, unmet_demands


class TestDemands:
    def test_are_met_by_the_database_of_the_tests(self, db):
        assert list(unmet_demands()) == []

    def test_name_a_server_that_is_too_old(self, db, monkeypatch):
        monkeypatch.setattr(demands, "LEAST_VERSION", 999)
        [told] = unmet_demands()
        assert "mailops needs 999 or later" in told

    def test_name_what_a_newer_version_did(self, db):
        MigrationRecorder(connection).record_applied("outbox", "9999_from_the_future")
        [told] = unmet_demands()
        assert "A newer mailops has migrated this database (outbox 9999_from_the_future)" in told

    def test_name_a_pooler_by_transaction(self, db, monkeypatch):
        monkeypatch.setattr(demands, "SESSION", "SELECT 1")
        [told] = unmet_demands()
        assert "pool_mode = session" in told


class TestSessions:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ([7], [7]),  # whoever asks gets the one that was used last
            ([7, 9], [8, 7]),  # each gets the next
            ([7, 8], [9]),
            ([7], [9, 8]),
        ],
    )
    def test_that_are_lent_are_known(self, one, other):
        assert are_lent(cycle(one).__next__, cycle(other).__next__)

    def test_of_ones_own_are_known(self):
        assert not are_lent(lambda: 7, lambda: 9)
