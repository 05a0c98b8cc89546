"""What the pages ask of the counts: over time, in all, by reason and by whose fault; times as percentiles.

Everything speaks of the mail that was accepted, or refused, in a period: a bounce counts where its mail was sent.
`choices` are columns of a count with their values, as {"stream_id": 3, "mailbox_provider": "gmail"}.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from mailops.outbox.models import CountKey, EventKind
from mailops.protocol.classification import MEANINGS, Fault, Reason
from mailops.reports.latencies import Histogram, Which
from mailops.reports.models import FigureQuerySet
from mailops.reports.outcomes import KINDS, Outcome
from mailops.reports.periods import Period
from mailops.reports.sources import Choices, figures

WENT_WRONG = (EventKind.BOUNCED, EventKind.RETURNED, EventKind.FAILED)


def series(period: Period, choices: Choices) -> list[tuple[datetime, Outcome]]:
    """Return the outcome of each step of `period`, with the empty ones."""
    found: dict[datetime, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for at, kind, n in _stepwise(period, choices).events(*KINDS).summed("cohort_at", "kind"):
        found[period.step_of(at)][kind] += n
    return [(step, Outcome.of(found.get(step, {}))) for step in period.steps()]


def total(period: Period, choices: Choices) -> Outcome:
    """Return the outcome of all of `period`."""
    return Outcome.of(_chosen(period, choices).events(*KINDS).by_kind())


def by_reason(
    period: Period, choices: Choices, kinds: Sequence[EventKind] = WENT_WRONG
) -> dict[str, int]:
    """Return how often each reason was given, the commonest first."""
    rows = _chosen(period, choices).events(*kinds).summed("reason")
    return {reason: n for reason, n in sorted(rows, key=lambda row: (-row[1], row[0])) if n}


def by_fault(
    period: Period, choices: Choices, kinds: Sequence[EventKind] = WENT_WRONG
) -> dict[Fault, int]:
    """Return how often it was whose fault, the commonest first."""
    found: dict[Fault, int] = defaultdict(int)
    for reason, n in by_reason(period, choices, kinds).items():
        found[fault_of(reason)] += n
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def fault_of(reason: str) -> Fault:
    """Return whose fault a reason is; reasons of our own, such as a template that can't be rendered, are of the message."""
    try:
        return MEANINGS[Reason(reason)].fault
    except ValueError:
        return Fault.MESSAGE if reason else Fault.UNKNOWN


def latency(period: Period, choices: Choices, which: Which) -> Histogram:
    """Return how long it took, as a histogram that percentiles can be asked of."""
    found = _latencies(_chosen(period, choices), which).histograms("measure")
    return Histogram.sum(Histogram(dict(zip(*row[1:], strict=True))) for row in found)


def latency_series(
    period: Period, choices: Choices, which: Which
) -> list[tuple[datetime, Histogram]]:
    """Return the histogram of each step of `period`, with the empty ones."""
    found: dict[datetime, list[Histogram]] = defaultdict(list)
    for at, slots, counts in _latencies(_stepwise(period, choices), which).histograms("cohort_at"):
        found[period.step_of(at)].append(Histogram(dict(zip(slots, counts, strict=True))))
    return [(step, Histogram.sum(found[step])) for step in period.steps()]


def percentiles(
    period: Period, choices: Choices, which: Which, percents: Sequence[float] = (50, 95)
) -> list[float | None]:
    """Return the seconds in which so many percent were done, each true to 5 %; None where nothing was measured."""
    found = latency(period, choices, which)
    return [found.percentile(percent) for percent in percents]


def _chosen(period: Period, choices: Choices) -> FigureQuerySet:
    return figures(choices, (period.start, period.end)).of_cohorts(period)


def _stepwise(period: Period, choices: Choices) -> FigureQuerySet:
    return figures(choices, (*period.steps(), period.end)).of_cohorts(period)


def _latencies(found: FigureQuerySet, which: Which) -> FigureQuerySet:
    return found.filter(measure=CountKey.Measure(which.value))
