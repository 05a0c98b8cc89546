"""Old feedback is deleted, but nothing that was not read."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailops.feedback import forgetting
from mailops.feedback.models import RawFeedback
from mailops.feedback.tasks import forget_old_feedback
from mailops.outbox.models import Event
from mailops.suppressions.models import Suppression
from tests.feedback.conftest import receive, report_on, sender_of

STATE = RawFeedback.State


def make_raw(state, *, days):
    row = receive(
        f"Subject: {state} {days} {RawFeedback.objects.count()}\r\n\r\n".encode(), "x@y.example"
    )
    received_at = timezone.now() - timedelta(days=days)
    RawFeedback.objects.filter(pk=row.pk).update(state=state, received_at=received_at)
    return row


@pytest.mark.django_db
class TestForgetting:
    def test_deletes_what_is_older_than_the_setting_says(self, settings):
        settings.MAILOPS_RAW_FEEDBACK_DAYS = 30
        kept = make_raw(STATE.PROCESSED, days=29)
        make_raw(STATE.PROCESSED, days=31)
        make_raw(STATE.QUARANTINED, days=31)
        forget_old_feedback()
        assert list(RawFeedback.objects.all()) == [kept]

    def test_keeps_what_was_never_read_however_old(self):
        for state in (STATE.FAILED, STATE.PENDING):
            make_raw(state, days=1000)
        forget_old_feedback()
        assert RawFeedback.objects.count() == 2

    def test_keeps_what_it_led_to(self, sent):
        row = receive(report_on(sent), sender_of(sent))
        RawFeedback.objects.filter(pk=row.pk).update(
            received_at=timezone.now() - timedelta(days=91)
        )
        forget_old_feedback()
        assert not RawFeedback.objects.exists()
        assert (Event.objects.count(), Suppression.objects.count()) == (1, 1)

    def test_goes_chunk_by_chunk_past_what_stays(self, monkeypatch):
        monkeypatch.setattr(forgetting, "CHUNK", 2)
        make_raw(STATE.FAILED, days=100)
        for _ in range(3):
            make_raw(STATE.PROCESSED, days=100)
        assert [forgetting.forget_old() for _ in range(3)] == [2, 1, 0]
        assert RawFeedback.objects.get().is_failed
