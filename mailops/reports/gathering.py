"""Reads what the charts of one report are drawn from: of its period and of the one before, step by step."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models import F, Func, IntegerField, Value

from mailops.outbox.models import CountKey, EventKind
from mailops.reports.latencies import Histogram, Which
from mailops.reports.models import FigureQuerySet
from mailops.reports.outcomes import KINDS, REFUSALS, Limits, Outcome
from mailops.reports.periods import Period
from mailops.reports.relating import related
from mailops.reports.sampling import Waiting, queue_samples
from mailops.reports.sources import figures

LOOKS = (EventKind.OPENED, EventKind.CLICKED)  # once for each message and kind of looker
WITH_REASON = {*REFUSALS, EventKind.DEFERRED}
ByReason = Mapping[str, list[int]]
Kinds = dict[str, dict[str, int]]  # kind → reason → how many


@dataclass(frozen=True)
class Numbers:
    period: Period
    now: list[Outcome]  # of each step's cohort
    before: list[Outcome]  # the same steps of the period before
    refusals: ByReason = field(default_factory=dict)  # bounced and failed, by step
    deferrals: ByReason = field(default_factory=dict)
    looks: Mapping[EventKind, ByReason] = field(default_factory=dict)  # opened, clicked: by whom
    limits: Limits = field(default_factory=Limits)
    times: Mapping[Which, list[Histogram]] = field(default_factory=dict)  # of both periods, by step
    queue: list[Waiting] = field(default_factory=list)  # of the streams concerned; none by provider
    is_compared: bool = True  # a campaign goes out once: what was before it says nothing of it

    @property
    def steps(self) -> tuple[datetime, ...]:
        return self.period.edges[:-1]

    def took(self, which: Which) -> tuple[list[Histogram], list[Histogram]]:
        """Return how long it took in each step, and in those of the period before."""
        size = len(self.steps)
        found = self.times.get(which) or [Histogram()] * (2 * size)
        return found[size:], found[:size]

    def so_far(self, at: datetime) -> tuple[Outcome, Outcome]:
        """Return what became of the mail of the steps that are over at that moment, and of the same steps before."""
        over = bisect_right(self.period.edges[1:], at)
        return sum(self.now[:over], Outcome()), sum(self.before[:over], Outcome())

    def over_until(self, at: datetime) -> datetime:
        """Return when the last of those steps ended."""
        return self.period.edges[bisect_right(self.period.edges[1:], at)]

    @cached_property
    def total(self) -> Outcome:
        return sum(self.now, Outcome())

    @cached_property
    def total_before(self) -> Outcome:
        return sum(self.before, Outcome())


def gather(
    choices: Mapping[str, Any], period: Period, *, reason: str = "", limits: Limits | None = None
) -> Numbers:
    """Count what became of the mail of `period`, and of the one before, in as many queries whatever is asked.

    `choices` are columns of a count with their values.

    With a `reason` only bounces, failures and deferrals of that reason are told; rates still speak of all mail.
    """
    edges = (*period.previous.edges, *period.edges[1:])
    counted = figures(choices, edges).of_cohorts(Period(edges[0], edges[-1], period.zone))
    stepwise = counted.annotate(at=_step("cohort_at", edges))
    found: dict[int, Kinds] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for at, kind, why, n in stepwise.events(*KINDS, *LOOKS).summed("at", "kind", "reason"):
        found[at - 1][kind][why] += n
    size = len(period.edges) - 1
    outcomes = [_outcome(found.get(at, {}), reason) for at in range(2 * size)]
    steps = [found.get(at, {}) for at in range(size, 2 * size)]
    return Numbers(
        period,
        now=outcomes[size:],
        before=outcomes[:size],
        refusals=_by_reason(steps, REFUSALS, reason),
        deferrals=_by_reason(steps, (EventKind.DEFERRED,), reason),
        looks={kind: _by_reason(steps, (kind,), "") for kind in LOOKS},
        limits=limits or Limits(),
        times={} if is_unnamed(choices) else _times(stepwise, 2 * size),
        queue=_queue(choices, period),
        is_compared=not choices.get("campaign_id"),
    )


def is_unnamed(choices: Mapping[str, Any]) -> bool:
    """Tell whether a provider without a name is chosen: latencies are counted for named ones only."""
    return "." in str(choices.get("mailbox_provider", ""))


def _times(stepwise: FigureQuerySet, size: int) -> dict[Which, list[Histogram]]:
    measures = [CountKey.Measure(which.value) for which in Which]
    found: dict[str, list[Histogram]] = {}
    for at, measure, slots, counts in stepwise.filter(measure__in=measures).histograms("at", "measure"):  # fmt: skip
        steps = found.setdefault(measure, [Histogram()] * size)
        steps[at - 1] = Histogram(dict(zip(slots, counts, strict=True)))
    return {which: found[which.value] for which in Which if which.value in found}


def _queue(choices: Mapping[str, Any], period: Period) -> list[Waiting]:
    """Return what waited in the streams that `choices` concern; a queue is a stream's."""
    chosen = related(choices)
    if choices.get("mailbox_provider"):
        return []
    streams = list(chosen.streams.values_list("pk", flat=True)) if chosen else None
    return [waiting for _, waiting in queue_samples(period, streams)]


def _step(column: str, edges: Iterable[datetime]) -> Func:
    """Return the number of the step that `column` lies in, from 1; exact for days of 23 hours, too."""
    return Func(
        F(column),
        # read once: as a plain parameter its text would be read again for each row
        Func(Value(list(edges)), template="(SELECT %(expressions)s::timestamptz[])"),
        function="width_bucket",
        output_field=IntegerField(),
    )


def _outcome(kinds: Kinds, reason: str) -> Outcome:
    sums = {
        kind: sum(
            n for why, n in whys.items() if not reason or why == reason or kind not in WITH_REASON
        )
        for kind, whys in kinds.items()
    }
    bounced = sum(kinds.get(EventKind.BOUNCED, {}).values())
    sums["bounced_otherwise"] = bounced - sums.get(EventKind.BOUNCED, 0)
    return Outcome.of(sums)


def _by_reason(steps: list[Kinds], kinds: Iterable[EventKind], reason: str) -> ByReason:
    found: dict[str, list[int]] = defaultdict(lambda: [0] * len(steps))
    for at, step in enumerate(steps):
        for kind in kinds:
            for why, n in step.get(kind, {}).items():
                if not reason or why == reason:
                    found[why][at] += n
    return dict(sorted(found.items(), key=lambda pair: (-sum(pair[1]), pair[0])))
