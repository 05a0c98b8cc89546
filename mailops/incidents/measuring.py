"""Measures rates in a window of counts: those folded already and the tallies that wait to be."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
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
