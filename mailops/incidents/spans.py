"""Incidents as stretches of time on the charts of the reports."""

from typing import Any

from django.db.models import Q
from django.urls import reverse

from mailops.incidents.concerning import of_domain
from mailops.incidents.measuring import COLUMNS
from mailops.incidents.models import Incident
from mailops.reports.marks import Span
from mailops.reports.periods import Period

LIMIT = 20  # on one chart; more can't be told apart


def incident_spans(period: Period, choices: dict[str, Any]) -> list[Span]:
    """Return the incidents of `period`; of what is chosen only, and of a domain's streams and their campaigns."""
    found = Incident.objects.filter(
        Q(closed_at=None) | Q(closed_at__gte=period.start), opened_at__lt=period.end
    )
    newest = (
        found.filter(_chosen(choices)).select_related("threshold").order_by("-opened_at")[:LIMIT]
    )
    return [
        Span(
            incident.opened_at,
            incident.closed_at,
            f"Incident: {incident}",
            url=reverse("incidents:detail", args=[incident.pk]),
            tone=incident.tone,
        )
        for incident in newest
    ]


def _chosen(choices: dict[str, Any]) -> Q:
    chosen = Q()
    for kind, column in COLUMNS.items():
        if subject_id := choices.get(column):
            chosen |= Q(subject_kind=kind, subject_id=subject_id)
    domain = choices.get("domain_id")
    return of_domain(domain) if domain and not chosen else chosen
