"""Puts together what every page of numbers shows: its tiles, its charts, and what changed beside them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.utils.timezone import now

from mailops.lib.templatetags.times import duration
from mailops.reports.charting import axis
from mailops.reports.charts import CHARTS, draw
from mailops.reports.gathering import Numbers, gather
from mailops.reports.marks import beside
from mailops.reports.objectives import objective_of
from mailops.reports.periods import Period
from mailops.reports.threshold_lines import limits_of
from mailops.reports.tiles import tiles


def numbers_of(choices: Mapping[str, Any], period: Period, *, reason: str = "") -> Numbers:
    """Count the mail of `choices`, columns of a count with their values."""
    limits = limits_of(choices)
    if (stream := choices.get("stream_id")) and (promised := objective_of(stream)):
        words = f"{promised.percent.normalize():f} % within {duration(promised.seconds)}"
        limits = replace(limits, to_accept=((promised.seconds, words, "bad"),))
    return gather(choices, period, reason=reason, limits=limits)


def compose(
    numbers: Numbers,
    choices: Mapping[str, Any],
    keys: Iterable[str] = CHARTS,
    *,
    standing: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return the charts that have something to draw and those that haven't, and what they share: steps, marks, changes.

    `standing` is how many of the messages have each status, where `numbers` are of all that there are.
    """
    found = beside(numbers.period, choices)
    charts = draw(numbers, keys)
    at = now()
    return {
        "tiles": tiles(
            numbers.total,
            numbers.total_before if numbers.is_compared else None,
            numbers.limits,
            standing,
            so_far=numbers.so_far(at) if numbers.period.end > at else None,
            over_until=numbers.over_until(at),
        ),
        "charts": [chart for chart in charts if not chart.is_empty],
        "without_data": [chart for chart in charts if chart.is_empty and chart.empty],
        "axis": axis(numbers.period) | found.drawn,
        "changes": [(change, "") for change in found.changes],
        "period": numbers.period,
    }


def openings(period: Period, address: Callable[[datetime, datetime], str]) -> list[str]:
    """Return where each step of the charts leads: to the numbers of its own time."""
    return [address(*times) for times in pairwise(period.edges)]
