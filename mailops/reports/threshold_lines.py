"""The thresholds that charts draw: those that people set, where the app above that keeps them has registered itself."""

from collections.abc import Callable, Mapping
from typing import Any

from mailops.reports.outcomes import Limits

LimitSource = Callable[[Mapping[str, Any]], Limits]
_sources: list[LimitSource] = []


def register_limits(source: LimitSource) -> None:
    """Add the source; it gets the chosen columns ({"stream_id": 3}), and returns the lines."""
    _sources.append(source)


def limits_of(choices: Mapping[str, Any]) -> Limits:
    return _sources[-1](choices) if _sources else Limits()
