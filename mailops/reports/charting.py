"""Draws outcomes over time, as the chart reads them and as the table beside it."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db.models.functions import TruncDay

from mailops.reports.models import FigureQuerySet
from mailops.reports.outcomes import (
    BOUNCE_THRESHOLDS,
    COMPLAINT_THRESHOLDS,
    KINDS,
    Outcome,
)
from mailops.reports.periods import DAY, Period

Series = list[tuple[datetime, Outcome]]


def series(figures: FigureQuerySet, period: Period) -> Series:
    """Return the outcome of each step's cohort, with the empty steps."""
    chosen = figures.events(*KINDS).of_cohorts(period)
    if period.step == DAY:
        chosen = chosen.annotate(at=TruncDay("cohort_at", tzinfo=period.zone))
        rows = chosen.summed("at", "kind")
    else:
        rows = chosen.summed("cohort_at", "kind")
    found: dict[datetime, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for at, kind, n in rows:
        found[period.step_of(at)][kind] += n
    return [(step, Outcome.of(found.get(step, {}))) for step in period.steps()]


def total(figures: FigureQuerySet, period: Period) -> Outcome:
    """Return the outcome of the whole period's cohort."""
    return Outcome.of(figures.events(*KINDS).of_cohorts(period).by_kind())


def volume_chart(points: Series, period: Period, marks: dict[str, Any]) -> dict[str, Any]:
    columns: list[tuple[str, str, Callable[[Outcome], int]]] = [
        ("Accepted", "ok", lambda o: o.stayed),
        ("Bounced", "bad", lambda o: o.all_bounced),
        ("Failed", "warn", lambda o: o.failed),
    ]
    return {
        "type": "bar",
        "stacked": True,
        "unit": "count",
        "series": [
            {"name": name, "tone": tone, "points": [[at.isoformat(), of(o)] for at, o in points]}
            for name, tone, of in columns
        ],
        "zone": str(period.zone),
        "table": {
            "header": ["Time", *(name for name, _, _ in columns), "Acceptance"],
            "rows": [
                [period.label_of(at), *(f"{of(o):,}" for _, _, of in columns), said(o.acceptance)]
                for at, o in points
            ],
        },
        **marks,
    }


def bounce_chart(points: Series, period: Period, marks: dict[str, Any]) -> dict[str, Any]:
    chart = _rate_chart(
        "Bounced", points, period, BOUNCE_THRESHOLDS, lambda o: (o.all_bounced, o.answered)
    )
    return chart | marks


def complaint_chart(points: Series, period: Period, marks: dict[str, Any]) -> dict[str, Any]:
    chart = _rate_chart(
        "Complained", points, period, COMPLAINT_THRESHOLDS, lambda o: (o.complained, o.accepted)
    )
    return chart | marks


def _rate_chart(
    name: str,
    points: Series,
    period: Period,
    thresholds: Sequence[tuple[float, str, str]],
    of: Callable[[Outcome], tuple[int, int]],
) -> dict[str, Any]:
    counts = [of(outcome) for _, outcome in points]
    rates = [round(100 * part / whole, 4) if whole else None for part, whole in counts]
    steps = [at for at, _ in points]
    return {
        "type": "line",
        "unit": "percent",
        "series": [
            {
                "name": name,
                "points": [[at.isoformat(), rate] for at, rate in zip(steps, rates, strict=True)],
                "counts": [list(pair) for pair in counts],
            }
        ],
        "thresholds": [
            {"value": value, "label": words, "tone": tone} for value, words, tone in thresholds
        ],
        "zone": str(period.zone),
        "table": {
            "header": ["Time", name, "Of", "Rate"],
            "rows": [
                [period.label_of(at), f"{part:,}", f"{whole:,}", said(rate)]
                for at, (part, whole), rate in zip(steps, counts, rates, strict=True)
            ],
        },
    }


def said(rate: float | None) -> str:
    """Write a rate with as many digits as one needs to act on it."""
    if rate is None:
        return "–"
    digits = 0 if rate == 0 else 3 if rate < 0.1 else 2 if rate < 1 else 1
    return f"{rate:.{digits}f} %"
