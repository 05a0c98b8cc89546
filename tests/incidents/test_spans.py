"""Incidents on the charts of the reports."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from mailops.incidents.models import Threshold
from mailops.incidents.spans import incident_spans
from mailops.reports.marks import beside
from mailops.reports.periods import last_days
from tests.factories import make_campaign, make_domain, make_incident, make_stream

pytestmark = pytest.mark.django_db


class TestIncidentSpans:
    def test_lie_where_the_incident_was(self):
        now = timezone.now()
        period = last_days(now, 7, UTC)
        make_incident(
            state="closed", opened_at=now - timedelta(days=20), closed_at=now - timedelta(days=19)
        )
        still_open = make_incident()
        (span,) = incident_spans(period, {})
        assert (span.label, span.end, span.tone) == (f"Incident: {still_open}", None, "bad")
        assert span.url == f"/incidents/{still_open.pk}/"

    def test_that_are_not_over_end_now_or_with_the_period(self):
        now = timezone.now()
        make_incident(opened_at=now - timedelta(days=5))
        (span,) = beside(last_days(now, 7, UTC), {}).drawn["spans"]
        assert now <= datetime.fromisoformat(span["to"]) <= timezone.now()
        past = last_days(now - timedelta(days=3), 3, UTC)
        (span,) = beside(past, {}).drawn["spans"]
        assert span["to"] == past.end.isoformat()

    def test_are_of_what_is_chosen(self):
        incident = make_incident()
        period = last_days(timezone.now(), 7, UTC)
        assert incident_spans(period, {"stream_id": incident.subject_id})
        assert not incident_spans(period, {"stream_id": make_stream().pk})

    def test_of_a_domain_are_of_its_streams_and_their_campaigns(self):
        campaign = make_campaign()
        stream, other = campaign.stream, make_stream()
        period = last_days(timezone.now(), 7, UTC)
        make_incident(stream=stream)
        of_campaigns = Threshold.objects.filter(subject_kind="campaign").first()
        make_incident(threshold=of_campaigns, subject_kind="campaign", subject_id=campaign.pk)
        assert len(incident_spans(period, {"domain_id": stream.domain_id})) == 2
        assert not incident_spans(period, {"domain_id": other.domain_id})
        assert not incident_spans(period, {"domain_id": make_domain().pk})
        both = {"domain_id": stream.domain_id, "stream_id": other.pk}
        assert not incident_spans(period, both)

    def test_stand_on_the_page(self, logged_in, viewer):
        incident = make_incident()
        page = logged_in(viewer).get(reverse("reports:reports")).content.decode()
        assert f'"label": "Incident: {incident}"' in page
        assert f'<a href="/incidents/{incident.pk}/">Incident: {incident}</a>' in page
