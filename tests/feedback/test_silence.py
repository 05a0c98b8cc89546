"""A transport that sends and hears nothing is named, with what to do; one that is heard is not."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailops.feedback.archiving import archive
from mailops.feedback.models import RawFeedback, WebhookEndpoint
from mailops.feedback.silence import silences
from mailops.outbox.models import EventKind, Tally
from mailops.reports.attention import matters
from tests.factories import make_transport


@pytest.fixture
def transport(db):
    return make_transport(kind="postmark", name="postmark")


def heard(transport, **fields):
    WebhookEndpoint.objects.create(transport=transport, **fields)


def said(transport, n=500):
    return [one.sentence for one in silences({transport.pk: n})]


def test_without_a_webhook(transport):
    assert "has no webhook" in said(transport)[0]


def test_with_one_that_was_never_called(transport):
    heard(transport)
    assert "never called" in said(transport)[0]


def test_with_calls_that_prove_nothing(transport):
    heard(transport, last_heard_at=timezone.now())
    assert "check the key" in said(transport)[0]


def test_that_was_heard_two_days_ago(transport):
    heard(transport, last_heard_at=timezone.now(), last_proven_at=timezone.now() - timedelta(2))
    assert "told nothing" in said(transport)[0]


def test_that_is_heard_is_no_finding(transport):
    heard(transport, last_heard_at=timezone.now(), last_proven_at=timezone.now())
    assert said(transport) == []


def test_that_sends_little_is_no_finding(transport):
    assert said(transport, 10) == []


def test_of_smtp_is_one_only_where_no_mail_comes_at_all(db):
    relay = make_transport(name="relay")
    assert said(relay, 500) == []
    assert "does its MX lead here" in said(relay, 5000)[0]
    archive(source=RawFeedback.Source.MAIL, content=b"x", peer="")
    assert said(relay, 5000) == []


def test_is_among_what_needs_a_person(transport):
    at = timezone.now() - timedelta(hours=5)
    Tally.objects.create(
        bucket_at=at, cohort_at=at, measure=Tally.Measure.EVENT, kind=EventKind.ACCEPTED, stream_id=1,
        domain_id=1, transport_id=transport.pk, n=500
    )  # fmt: skip
    assert "Nothing is heard of what postmark sends" in [one.title for one in matters()]
