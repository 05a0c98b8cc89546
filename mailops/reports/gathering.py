"""Reads what the charts of one report are drawn from: of its period and of the one before, step by step."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from django.db.models import F, Func, IntegerField, Value

from mailops.outbox.models import EventKind
from mailops.reports.models import FigureQuerySet
from mailops.reports.outcomes import KINDS, REFUSALS, Limits, Outcome
from mailops.reports.periods import Period

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
    limits: Limits = field(default_factory=Limits)

    @property
    def steps(self) -> tuple[datetime, ...]:
        return self.period.edges[:-1]

    @cached_property
    def total(self) -> Outcome:
        return sum(self.now, Outcome())

    @cached_property
    def total_before(self) -> Outcome:
        return sum(self.before, Outcome())


def gather(
    figures: FigureQuerySet, period: Period, *, reason: str = "", limits: Limits | None = None
) -> Numbers:
    """Count what became of the mail of `period`, and of the one before, in one query.

    With a `reason` only bounces, failures and deferrals of that reason are told; rates still speak of all mail.
    """
    edges = (*period.previous.edges, *period.edges[1:])
    whole = Period(edges[0], edges[-1], period.zone)
    chosen = figures.events(*KINDS).of_cohorts(whole).annotate(at=_step("cohort_at", edges))
    found: dict[int, Kinds] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for at, kind, why, n in chosen.summed("at", "kind", "reason"):
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
        limits=limits or Limits(),
    )


def _step(column: str, edges: Iterable[datetime]) -> Func:
    """Return the number of the step that `column` lies in, from 1; exact for days of 23 hours, too."""
    return Func(
        F(column),
        Value(list(edges)),
        function="width_bucket",
        template="%(function)s(%(expressions)s::timestamptz[])",
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
