"""What happened beside the numbers, on the time axis of every chart: changes as marks, incidents as spans.

Incidents lie above the reports, so they register a source here when their app is ready.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from mailops.reports.changes import LIMIT, Changed, Kind, changes
from mailops.reports.periods import Period
from mailops.reports.relating import related


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


@dataclass(frozen=True)
class Beside:
    """All that happened in a period beside its numbers."""

    changes: list[Changed]  # newest first, the beginnings of incidents among them
    spans: list[Span]
    until: datetime  # of spans that are not over: now, or the end of the period where that is past

    @property
    def drawn(self) -> dict[str, Any]:
        """Return the `marks` and `spans` of a chart; a click on a mark opens what changed, on the same page."""
        return {
            "marks": [
                {
                    "at": change.at.isoformat(),
                    "label": change.label,
                    "kind": change.kind.value,
                    "url": f"#change-{change.key}",
                }
                for change in self.changes
            ],
            "spans": [
                {
                    "from": span.start.isoformat(),
                    "to": (span.end or self.until).isoformat(),
                    "label": span.label,
                    "tone": span.tone,
                }
                for span in self.spans
            ],
        }


def beside(period: Period, choices: Mapping[str, Any]) -> Beside:
    """Return what happened in `period` to what is chosen, and to what it hangs on."""
    spans = [span for source in _sources for span in source(period, dict(choices))]
    begun = [
        Changed(
            f"incident-{n}",
            Kind.INCIDENT,
            span.start,
            span.label,
            url=span.url,
            url_words=span.label,
        )
        for n, span in enumerate(spans)
        if span.start >= period.start
    ]
    told = [*begun, *changes(period, related(choices))]
    newest = sorted(told, key=lambda change: change.at, reverse=True)
    return Beside(newest[: LIMIT + len(begun)], spans, min(timezone.now(), period.end))
