"""How often replies of a signature came over time, as the chart reads it and as the table beside it."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, Sum

from mailops.outbox.models import EventKind, SignatureCount
from mailops.reports.charting import axis
from mailops.reports.marks import Beside
from mailops.reports.periods import Period

KINDS: tuple[tuple[str, str, frozenset[str]], ...] = (
    (
        "Refused for good",
        "bad",
        frozenset({EventKind.BOUNCED, EventKind.RETURNED, EventKind.FAILED}),
    ),
    ("Put off", "warn", frozenset({EventKind.DEFERRED, EventKind.DELAYED})),
)


def over_time(
    found: QuerySet[SignatureCount], period: Period
) -> list[tuple[datetime, dict[str, int]]]:
    """Return how often they came in each step of `period`, by the event they led to, with the empty steps."""
    steps: dict[datetime, dict[str, int]] = {step: defaultdict(int) for step in period.steps()}
    for at, kind, n in found.order_by().values_list("bucket_at", "kind").annotate(total=Sum("n")):
        steps.setdefault(period.step_of(at), defaultdict(int))[kind] += n
    return sorted(steps.items())


@dataclass(frozen=True)
class History:
    """The chart of one signature, and what it shares with the page around it."""

    chart: dict[str, Any]
    axis: dict[str, Any]


def history(
    found: QuerySet[SignatureCount], period: Period, beside: Beside, opens: list[str]
) -> History:
    """Return the chart of replies over time; what changed stands on its axis, and each step of it leads on."""
    points = over_time(found, period)
    sums = [
        (at, [sum(kinds.get(kind, 0) for kind in of) for _, _, of in KINDS]) for at, kinds in points
    ]
    chart = {
        "type": "bar",
        "stacked": True,
        "unit": "count",
        "series": [
            {"name": name, "tone": tone, "values": [numbers[place] for _, numbers in sums]}
            for place, (name, tone, _) in enumerate(KINDS)
        ],
        "table": {
            "header": ["Time", *(name for name, _, _ in KINDS)],
            "rows": [
                [period.label_of(at), *(f"{number:,}" for number in numbers)]
                for at, numbers in sums
            ],
        },
    }
    return History(chart, axis(period) | beside.drawn | {"opens": opens})
