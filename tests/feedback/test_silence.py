"""A relay that sends and of which no mail comes back is named, with what to do."""

from datetime import timedelta

from django.utils import timezone

from mailops.feedback.archiving import archive
from mailops.feedback.models import RawFeedback
from mailops.feedback.silence import LEAST_MAILED, silent_by_mail
from mailops.outbox.models import EventKind, Tally
from mailops.reports.attention import matters
from tests.factories import make_transport


def test_of_smtp_is_one_only_where_no_mail_comes_at_all(db):
    relay = make_transport(name="relay")
    assert silent_by_mail({relay.pk: LEAST_MAILED - 1}) == []
    ((found, sentence),) = silent_by_mail({relay.pk: LEAST_MAILED})
    assert found == relay
    assert "does its MX lead here" in sentence
    archive(source=RawFeedback.Source.MAIL, content=b"x", peer="")
    assert silent_by_mail({relay.pk: LEAST_MAILED}) == []


def test_is_among_what_needs_a_person(db):
    relay = make_transport(name="relay")
    at = timezone.now() - timedelta(hours=5)
    Tally.objects.create(
        bucket_at=at, cohort_at=at, measure=Tally.Measure.EVENT, kind=EventKind.ACCEPTED, stream_id=1,
        domain_id=1, transport_id=relay.pk, n=LEAST_MAILED
    )  # fmt: skip
    assert "Nothing is heard of what relay sends" in [one.title for one in matters()]
