"""A chart as data: as the browser draws it, as the table beside it, and as CSV."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailops.lib.templatetags.numbers import bounded
from mailops.lib.templatetags.times import duration
from mailops.reports.outcomes import Thresholds
from mailops.reports.periods import Period

BEFORE = "The period before"
Value = float | None


@dataclass(frozen=True)
class Line:
    """One series: a value for each step; a rate has its counts, too."""

    name: str
    values: Sequence[Value]
    tone: str = ""
    counts: Sequence[tuple[int, int]] = ()
    is_before: bool = False  # of the period before, laid beside

    @property
    def is_empty(self) -> bool:
        return not any(value is not None and (value or self.counts) for value in self.values)


@dataclass(frozen=True)
class Chart:
    key: str
    title: str
    period: Period
    lines: Sequence[Line]
    unit: str = "count"  # or percent, seconds
    kind: str = "line"  # or bar
    empty: str = ""  # what will be here
    summary: str = ""  # the one number of it
    note: str = ""
    thresholds: Thresholds = ()
    top: float | None = None  # of the scale
    is_log: bool = False
    csv_url: str = ""

    @property
    def is_empty(self) -> bool:
        return all(line.is_empty for line in self.lines if not line.is_before)

    @property
    def drawn(self) -> dict[str, Any]:
        """Return what the browser draws; the steps stand once on the page, for all charts."""
        return {
            "type": self.kind,
            "stacked": self.kind == "bar",
            "unit": self.unit,
            "top": self.top,
            "log": self.is_log,
            "series": [
                {
                    "name": line.name,
                    "values": list(line.values),
                    **({"tone": line.tone} if line.tone else {}),
                    **({"counts": line.counts} if line.counts else {}),
                    **({"before": True} if line.is_before else {}),
                }
                for line in self.lines
            ],
            "thresholds": [
                {"value": value, "label": words, "tone": tone}
                for value, words, tone in self.thresholds
            ],
        }

    @property
    def table(self) -> dict[str, Any]:
        """Return the same numbers for people; steps without any are left out."""
        return {
            "header": ["Time", *(name for line in self.lines for name in _columns(line))],
            "rows": [
                [
                    self.period.label_of(at),
                    *(cell for line in self.lines for cell in self._cells(line, n)),
                ]
                for n, at in self._told()
            ],
        }

    def _told(self) -> Iterator[tuple[int, datetime]]:
        for n, at in enumerate(self.period.steps()):
            if any(line.values[n] for line in self.lines) or any(
                line.counts and line.counts[n][1] for line in self.lines
            ):
                yield n, at

    def _cells(self, line: Line, n: int) -> list[str]:
        value = said(line.values[n], self.unit)
        return [*(f"{count:,}" for count in line.counts[n]), value] if line.counts else [value]

    @property
    def csv_header(self) -> list[str]:
        return ["time", *(name.lower() for line in self.lines for name in _columns(line))]

    def csv_rows(self) -> Iterator[list[Any]]:
        for n, at in enumerate(self.period.steps()):
            cells = (
                cell
                for line in self.lines
                for cell in (*(line.counts[n] if line.counts else ()), line.values[n])
            )
            yield [at.astimezone(self.period.zone).isoformat(), *cells]


def _columns(line: Line) -> list[str]:
    return [line.name, "Of", f"{line.name}, rate"] if line.counts else [line.name]


def axis(period: Period) -> dict[str, Any]:
    """Return the steps that all charts of a page share."""
    return {"steps": [at.isoformat() for at in period.edges], "zone": str(period.zone)}


def said(value: Value, unit: str = "percent") -> str:
    """Write a number with as many digits as one needs to act on it."""
    if value is None:
        return "–"
    if unit == "count":
        return f"{value:,.0f}"
    if unit == "seconds":
        return f"{value:.2g} s" if value < 1 else f"{value:.1f} s" if value < 60 else duration(value)  # fmt: skip
    digits = 0 if value == 0 else 3 if value < 0.1 else 2 if value < 1 or 99.9 < value < 100 else 1
    return f"{bounded(value, digits)} %"
