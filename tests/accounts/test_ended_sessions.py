from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from mailops.accounts import ended_sessions


@pytest.fixture
def sessions(db):
    """Sessions that end in so many hours."""
    return [
        Session.objects.create(session_key=f"s{n}", expire_date=timezone.now() + timedelta(hours=n))
        for n in (-3, -2, -1, 1)
    ]


class TestForget:
    def test_leaves_those_that_go_on(self, sessions):
        assert not ended_sessions.forget()
        assert [*Session.objects.all()] == sessions[3:]

    def test_drops_a_bounded_number_at_once_and_tells_that_there_may_be_more(
        self, sessions, monkeypatch
    ):
        monkeypatch.setattr(ended_sessions, "BATCH", 2)
        assert ended_sessions.forget()
        assert [*Session.objects.order_by("expire_date")] == sessions[2:]
        assert not ended_sessions.forget()
