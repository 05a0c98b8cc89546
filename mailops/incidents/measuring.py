"""Measures rates in a window of counts: those folded already and the tallies that wait to be."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from django.db.models import Q, QuerySet, Sum

from mailops.incidents.models import SubjectKind, Threshold
from mailops.outbox.models import CountKey, EventKind, Tally
from mailops.reports.models import Count

BAD = {
    Threshold.Measure.BOUNCES: (EventKind.BOUNCED, EventKind.RETURNED),
    Threshold.Measure.COMPLAINTS: (EventKind.COMPLAINED,),
}
# a message that came back later was accepted first, so `returned` adds nothing to the whole
WHOLE = {
    Threshold.Measure.BOUNCES: (EventKind.ACCEPTED, EventKind.BOUNCED),
    Threshold.Measure.COMPLAINTS: (EventKind.ACCEPTED,),
}
COLUMNS = {
    SubjectKind.STREAM: "stream_id",
    SubjectKind.TRANSPORT: "transport_id",
    SubjectKind.CAMPAIGN: "campaign_id",
}


@dataclass(frozen=True)
class Rate:
    """So many bad ones of so many."""

    bad: int = 0
    whole: int = 0

    @property
    def percent(self) -> float:
        return 100 * self.bad / self.whole if self.whole else 0.0

    def __str__(self) -> str:
        digits = 2 if self.percent < 1 else 1
        return f"{self.percent:.{digits}f} % ({self.bad:,} of {self.whole:,})"


def rates(
    threshold: Threshold,
    *,
    since: datetime,
    until: datetime | None = None,
    subject_id: int | None = None,
) -> dict[int, Rate]:
    """Return the rate of each subject with events in the window; it begins and ends with a quarter hour."""
    column = COLUMNS[SubjectKind(threshold.subject_kind)]
    bad, whole = (
        BAD[Threshold.Measure(threshold.measure)],
        WHOLE[Threshold.Measure(threshold.measure)],
    )
    chosen = Q(measure=CountKey.Measure.EVENT, kind__in={*bad, *whole}, bucket_at__gte=since)
    chosen &= (
        Q(**{column: subject_id}) if subject_id is not None else Q(**{f"{column}__isnull": False})
    )
    if until is not None:
        chosen &= Q(bucket_at__lt=until)
    found: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for subject, kind, n in summed(chosen, column, "kind"):
        found[subject][kind] += n
    return {
        subject: Rate(sum(kinds[one] for one in bad), sum(kinds[one] for one in whole))
        for subject, kinds in found.items()
    }


def held_fairly(threshold: Threshold, rate: Rate, *, since: datetime, subject_id: int) -> Rate:
    """Return the worse of two rates, of those with enough to judge by: of what left in the window, and of all that came back.

    What came back of mail that was sent before is held against as much as left then, in a time as long as the window: the
    last bounces of a large campaign say nothing of the few messages that leave after it.
    """
    measure = Threshold.Measure(threshold.measure)
    mine = Q(
        measure=CountKey.Measure.EVENT, **{COLUMNS[SubjectKind(threshold.subject_kind)]: subject_id}
    )
    came_late = Q(kind__in=BAD[measure], bucket_at__gte=since, cohort_at__lt=since)
    late = dict(summed(mine & came_late, "cohort_at"))
    n = sum(late.values())
    if n <= 0:
        return rate
    around = Q()
    for start, end in _around(late, threshold.window):
        around |= Q(cohort_at__gt=start, cohort_at__lte=end)
    sent = dict(summed(mine & around & Q(kind__in=WHOLE[measure]), "cohort_at"))
    volume = _volume(sent, threshold.window)
    usual = sum(few * volume(at) for at, few in late.items()) / n
    both = Rate(rate.bad - n, rate.whole), Rate(rate.bad, max(rate.whole, round(usual)))
    fair = [one for one in both if one.whole >= threshold.sample_floor]
    return max(fair, key=lambda one: one.percent, default=rate)


def _around(moments: Iterable[datetime], span: timedelta) -> list[tuple[datetime, datetime]]:
    """Return the times of that length that have the moments as their middles, those that overlap as one.

    What is between is not read: one bounce may be of mail that was sent months ago.
    """
    found: list[tuple[datetime, datetime]] = []
    for moment in sorted(moments):
        start, end = moment - span / 2, moment + span / 2
        if found and start <= found[-1][1]:
            start = found.pop()[0]
        found.append((start, end))
    return found


def _volume(sent: Mapping[datetime, int], span: timedelta) -> Callable[[datetime], int]:
    """Return what tells how many were sent in the time of that length that a moment is the middle of."""
    times = sorted(sent)
    sums = [0, *accumulate(sent[at] for at in times)]

    def until(moment: datetime) -> int:
        return sums[bisect_right(times, moment)]

    return lambda moment: until(moment + span / 2) - until(moment - span / 2)


def summed(chosen: Q, *columns: str) -> list[tuple[Any, ...]]:
    """Return the counts that `chosen` picks, grouped by `columns`, each row with its sum last.

    Folded and unfolded ones in one statement: one snapshot, so that a fold in between counts nothing twice.
    """
    folded: QuerySet[Any, Any] = (
        Count.objects.filter(chosen).values_list(*columns).annotate(Sum("n"))
    )
    waiting = Tally.objects.filter(chosen).values_list(*columns).annotate(Sum("n"))
    totals: dict[tuple[Any, ...], int] = defaultdict(int)
    for *key, n in folded.order_by().union(waiting.order_by(), all=True):
        totals[tuple(key)] += n
    return [(*key, n) for key, n in totals.items()]
