"""Tracked mail, and its recipients' calls; nothing is written by a thread of its own."""

from datetime import UTC, datetime, timedelta

import pytest

from mailops.tracking import public_views
from mailops.tracking.models import Hit
from mailops.tracking.reading import read_hits
from mailops.tracking.taking import Intake

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
LONG_AGO = timedelta(hours=2)


@pytest.fixture(autouse=True)
def intake(monkeypatch):
    """An intake of this test's own, which writes when it is told to."""
    one = Intake()
    monkeypatch.setattr(one, "start", lambda: None)
    monkeypatch.setattr(public_views, "intake", one)
    return one


@pytest.fixture
def read(intake):
    """Return a function that writes and reads what was called, as if it had come some time ago."""

    def read(*, seconds_ago=60.0):
        assert intake.flush()
        Hit.objects.filter(is_read=False).update(
            at=datetime.now(UTC) - timedelta(seconds=seconds_ago)
        )
        return read_hits()

    return read
