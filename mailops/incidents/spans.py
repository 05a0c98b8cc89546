"""Incidents as stretches of time on the charts of the reports."""

from typing import Any

from django.db.models import Q
from django.urls import reverse

from mailops.incidents.models import Incident
from mailops.reports.marks import Span
from mailops.reports.periods import Period

LIMIT = 20  # on one chart; more can't be told apart


def incident_spans(period: Period, choices: dict[str, Any]) -> list[Span]:
    """Return the incidents of `period`; of what is chosen only, where a stream, transport or campaign is."""
    found = Incident.objects.filter(
        Q(closed_at=None) | Q(closed_at__gte=period.start), opened_at__lt=period.end
    )
    chosen = Q()
    for kind in ("stream", "transport", "campaign"):
        if subject_id := choices.get(f"{kind}_id"):
            chosen |= Q(subject_kind=kind, subject_id=subject_id)
    newest = found.filter(chosen).select_related("threshold").order_by("-opened_at")[:LIMIT]
    return [
        Span(
            incident.opened_at,
            incident.closed_at,
            f"Incident: {incident}",
            url=reverse("incidents:detail", args=[incident.pk]),
            tone="warn" if incident.level == "warn" else "bad",
        )
        for incident in newest
    ]
