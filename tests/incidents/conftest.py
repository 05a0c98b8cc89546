"""Counts as the ledger would write them, and the thresholds every installation begins with."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailops.incidents.models import Threshold
from mailops.outbox.models import Tally
from mailops.reports.models import Count
from tests.domains.zones import asks, dns, dns_server, good  # noqa: F401 - fixtures
from tests.factories import make_stream


def count(stream, kind, n, *, minutes_ago=20, folded=False, **fields):
    """Let `n` events of `kind` have happened in a quarter hour that many minutes ago."""
    at = timezone.now() - timedelta(minutes=minutes_ago)
    at = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
    (Count if folded else Tally).objects.create(
        **{
            "bucket_at": at,
            "measure": "event",
            "kind": kind,
            "stream_id": stream.pk,
            "domain_id": stream.domain_id,
            "n": n,
            **fields,
        }
    )


@pytest.fixture
def stream(db):
    return make_stream(name="News")


@pytest.fixture
def bounces(db):
    return Threshold.objects.get(measure="bounces", subject_kind="stream")


@pytest.fixture
def complaints(db):
    return Threshold.objects.get(measure="complaints", subject_kind="stream")
