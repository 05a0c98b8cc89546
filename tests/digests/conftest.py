"""A week that is over, with mail in it, and a way to send a digest."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from mailops.digests.models import Subscription, Way
from mailops.digests.sending import LATE
from mailops.digests.weeks import last_due, last_whole_week, week_of
from mailops.lib.time_zones import zone
from mailops.outbox.models import Tally
from tests.factories import make_identity, make_stream

NOW = timezone.now()  # one moment for all: no Monday may come within a test


@pytest.fixture
def week():
    """Return the last whole week in UTC, the zone of the cast."""
    return week_of(last_whole_week(NOW, zone("UTC")), zone("UTC"))


@pytest.fixture
def stream(db):
    return make_stream(name="News", kind="transactional")


@pytest.fixture
def way(stream):
    return Way.objects.create(stream=stream, identity=make_identity(domain=stream.domain))


def count(stream, kind, n, at, **fields):
    """Let `n` events of `kind` be of mail that was sent at `at`."""
    Tally.objects.create(
        bucket_at=at, cohort_at=at, measure="event", kind=kind, stream_id=stream.pk,
        domain_id=stream.domain_id, n=n, **fields,
    )  # fmt: skip


def subscribe(*users):
    """Let them have switched it on long ago."""
    for user in users:
        Subscription.objects.create(user=user, is_on=True)
    Subscription.objects.update(since_at=F("since_at") - timedelta(days=60))


def on_time(user):
    """Return a moment at which the last digest of `user` is due, and not late."""
    return last_due(NOW, zone(user.time_zone)) + LATE / 2
