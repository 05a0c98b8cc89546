"""Thresholds as lines in the charts of the reports."""

from collections.abc import Mapping
from typing import Any

from mailops.incidents.measuring import COLUMNS
from mailops.incidents.models import Level, SubjectKind, Threshold
from mailops.reports.outcomes import Limits, Thresholds


def threshold_lines(choices: Mapping[str, Any]) -> Limits:
    """Return the thresholds of what is chosen; a stream's, where its own are off."""
    rates = (Threshold.Measure.BOUNCES, Threshold.Measure.COMPLAINTS)
    found = {
        (row.measure, row.subject_kind): row
        for row in Threshold.objects.filter(is_enabled=True, measure__in=rates)
    }
    kinds = [kind for kind, column in COLUMNS.items() if choices.get(column)]
    bounces, complaints = (
        _lines(next((found[m, k] for k in (*kinds, SubjectKind.STREAM) if (m, k) in found), None))
        for m in rates
    )
    return Limits(bounces, complaints)


def _lines(threshold: Threshold | None) -> Thresholds:
    if threshold is None:
        return ()
    levels = ((level, getattr(threshold, level.value)) for level in Level)
    return tuple(
        (
            float(value),
            f"{level} at {value.normalize():f} %",
            "warn" if level is Level.WARN else "bad",
        )
        for level, value in levels
        if value is not None
    )
