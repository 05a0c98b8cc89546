"""What happened beside the numbers: changes and incidents, as marks on the time axis.

Incidents lie above the reports, so they register a source here when their app is ready.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.timezone import localtime

from mailops.accounts.models import AuditEntry
from mailops.accounts.verbs import words_of
from mailops.domains.models import FindingChange
from mailops.lib.templatetags.navigation import resolve
from mailops.reports.periods import Period

LIMIT = 40  # marks on one chart; more can't be told apart

# What can move a rate. Looking, testing and planning can't.
VERBS = (
    "template.publish",
    "template.roll_back",
    "credential.",
    "transport.",
    "stream.",
    "campaign.",
    "identity.",
)
STILL = (".test", ".preflight", ".duplicate", ".schedule", ".unschedule", ".complete")


@dataclass(frozen=True)
class Span:
    """A stretch of time that is told apart, such as an incident."""

    start: datetime
    end: datetime | None  # None: not over
    label: str
    tone: str = "bad"
    url: str = ""  # where it is told in full


SpanSource = Callable[[Period, dict[str, Any]], list[Span]]
_sources: list[SpanSource] = []


def register_spans(source: SpanSource) -> None:
    """Add a source; it gets the period and the chosen columns ({"stream_id": 3}), and returns its spans."""
    _sources.append(source)


def marks(period: Period, choices: dict[str, Any]) -> dict[str, Any]:
    """Return the `marks` and `spans` of a chart."""
    spans = [span for source in _sources for span in source(period, choices)]
    begun = [
        {"at": span.start, "label": span.label, "url": span.url}
        for span in spans
        if span.start >= period.start
    ]
    changes = [*_audited(period), *_dns(period, choices)]
    changes.sort(key=_at, reverse=True)
    told = sorted([*begun, *changes[:LIMIT]], key=_at, reverse=True)
    return {
        "marks": [
            {**mark, "at": mark["at"].isoformat(), "when": _when(mark["at"])} for mark in told
        ],
        "spans": [
            {
                "from": span.start.isoformat(),
                "to": span.end.isoformat() if span.end else None,
                "label": span.label,
                "tone": span.tone,
            }
            for span in spans
        ],
    }


def _at(mark: dict[str, Any]) -> datetime:
    at: datetime = mark["at"]
    return at


def _when(at: datetime) -> str:
    return date_format(localtime(at), "j M, H:i")


def _audited(period: Period) -> list[dict[str, Any]]:
    entries = AuditEntry.objects.filter(at__gte=period.start, at__lt=period.end).order_by("-at")
    chosen = [entry for entry in entries[: LIMIT * 10] if _moves(entry.verb)]
    url = resolve("accounts:audit")
    return [
        {"at": entry.at, "label": f"{words_of(entry.verb)}: {entry.subject_label}", "url": url}
        for entry in chosen[:LIMIT]
    ]


def _moves(verb: str) -> bool:
    return verb.startswith(VERBS) and not verb.endswith(STILL)


def _dns(period: Period, choices: dict[str, Any]) -> list[dict[str, Any]]:
    changes = FindingChange.objects.from_known().filter(at__gte=period.start, at__lt=period.end)
    if domain := choices.get("domain_id"):
        changes = changes.filter(domain=domain)
    return [
        {
            "at": change.at,
            "label": f"{change.domain}: {change.told}",
            "url": resolve("domains:history", change.domain_id),
        }
        for change in changes.select_related("domain").order_by("-at")[:LIMIT]
    ]
