"""Counts, folded from the outbox's tallies."""

from collections import defaultdict
from typing import Any, ClassVar

from django.db import models
from django.db.models import Sum

from mailops.outbox.models import CountKey, EventKind
from mailops.reports.periods import Period


class Count(CountKey):
    """How often something happened in a quarter of an hour; the sum of all tallies of that key."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=CountKey.KEY, nulls_distinct=False, name="count_key_once"
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["cohort_at"],
                condition=models.Q(measure=CountKey.Measure.EVENT),
                name="count_by_cohort",
            ),  # charts and tables
            models.Index(
                fields=["bucket_at"],
                condition=models.Q(measure=CountKey.Measure.EVENT),
                name="count_by_bucket",
            ),  # alarms, and a campaign's present rate
            models.Index(
                fields=["campaign_id"],
                condition=models.Q(measure=CountKey.Measure.STATUS),
                name="count_balance",
            ),  # a campaign's balance
        ]


class FigureQuerySet(models.QuerySet["Figure"]):
    def events(self, *kinds: EventKind) -> "FigureQuerySet":
        found = self.filter(measure=CountKey.Measure.EVENT)
        return found.filter(kind__in=kinds) if kinds else found

    def statuses(self) -> "FigureQuerySet":
        return self.filter(measure=CountKey.Measure.STATUS)

    def of_cohorts(self, period: Period) -> "FigureQuerySet":
        """Keep what became of the mail that was accepted, or refused, in `period`."""
        return self.filter(cohort_at__gte=period.start, cohort_at__lt=period.end)

    def happened_in(self, period: Period) -> "FigureQuerySet":
        return self.filter(bucket_at__gte=period.start, bucket_at__lt=period.end)

    def summed(self, *columns: str) -> list[tuple[Any, ...]]:
        """Return each combination of `columns` with its sum last."""
        return list(self.order_by().values_list(*columns).annotate(total=Sum("n")))

    def by_kind(self) -> dict[str, int]:
        totals: dict[str, int] = defaultdict(int)
        totals.update(dict(self.summed("kind")))
        return totals


class Figure(CountKey):
    """A view: every count and every tally not folded yet, in one snapshot, so sums are exact at any time."""

    objects = FigureQuerySet.as_manager()

    class Meta:
        managed = False
        db_table = "reports_figure"
