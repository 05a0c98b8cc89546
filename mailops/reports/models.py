"""Counts, folded from the outbox's tallies."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.models import Sum
from django.db.models.functions import Now

from mailops.lib.templatetags.times import duration
from mailops.outbox.models import CountKey, EventKind
from mailops.outbox.slots import SECONDS
from mailops.reports.periods import Period

LATENCIES = (CountKey.Measure.ACCEPT, CountKey.Measure.ARRIVE, CountKey.Measure.QUEUE)
_UNNAMED = models.Q(mailbox_provider__contains=".")  # a provider is called by its domain then
_UNNAMED_EVENTS = _UNNAMED & models.Q(measure=CountKey.Measure.EVENT)


class Count(CountKey):
    """How often something happened in a quarter of an hour; the sum of all tallies of that key."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=CountKey.KEY, nulls_distinct=False, name="count_key_once"
            )
        ]
        indexes: ClassVar = [
            # charts and tables
            models.Index(
                fields=["cohort_at"],
                condition=models.Q(measure=CountKey.Measure.EVENT),
                name="count_by_cohort",
            ),
            # alarms, and a campaign's present rate
            models.Index(
                fields=["bucket_at"],
                condition=models.Q(measure=CountKey.Measure.EVENT),
                name="count_by_bucket",
            ),
            # a campaign's balance
            models.Index(
                fields=["campaign_id"],
                condition=models.Q(measure=CountKey.Measure.STATUS),
                name="count_balance",
            ),
            # a provider without a name, by its domain; a provider by more than one other thing
            models.Index(
                fields=["mailbox_provider", "stream_id", "cohort_at"],
                condition=models.Q(measure=CountKey.Measure.EVENT),
                name="count_by_provider",
            ),
            # all of those, told apart
            models.Index(
                fields=["stream_id", "cohort_at"],
                condition=_UNNAMED_EVENTS,
                name="count_unnamed_of_stream",
            ),
            models.Index(
                fields=["campaign_id", "cohort_at"],
                condition=_UNNAMED_EVENTS & models.Q(campaign_id__isnull=False),
                name="count_unnamed_of_campaign",
            ),
            # a campaign by anything else
            models.Index(
                fields=["campaign_id", "cohort_at"],
                condition=models.Q(measure=CountKey.Measure.EVENT, campaign_id__isnull=False),
                name="count_by_campaign",
            ),
            # times by more than two things
            models.Index(
                fields=["measure", "stream_id", "mailbox_provider", "cohort_at"],
                condition=models.Q(measure__in=LATENCIES),
                name="count_latencies",
            ),
        ]


class Delta(CountKey):
    """What was added to a count and is not rolled up yet."""


class Rollup(models.Model):
    """Counts of one column alone, or of two, in longer steps: what a chart reads, however much was sent.

    `at` is the cohort. Providers without a name of their own are one, "". Latencies have a table of their own.
    """

    step = models.SmallIntegerField()  # minutes: 15, 60, 1440
    dimension = models.CharField(max_length=40)  # "", "stream_id", "stream_id mailbox_provider" …
    value = models.CharField(max_length=100)
    other = models.CharField(max_length=100)  # of the second column
    at = models.DateTimeField()
    measure = models.CharField(max_length=6)
    kind = models.CharField(max_length=15)
    reason = models.CharField(max_length=40)
    n = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=[
                    "dimension",
                    "measure",
                    "step",
                    "value",
                    "at",
                    "other",
                    "kind",
                    "reason",
                ],
                name="rollup_once",
            )
        ]
        indexes: ClassVar = [
            # a split of everything
            models.Index(fields=["dimension", "measure", "step", "at"], name="rollup_by_time"),
            models.Index(
                fields=["dimension", "measure", "step", "other", "at"],
                condition=~models.Q(other=""),
                name="rollup_by_other",
            ),
        ]


class RolledHistogram(models.Model):
    """A rollup's latencies: the slots that have any, and how many."""

    step = models.SmallIntegerField()
    dimension = models.CharField(max_length=40)
    value = models.CharField(max_length=100)
    at = models.DateTimeField()
    measure = models.CharField(max_length=6)
    slots = ArrayField(models.SmallIntegerField())
    counts = ArrayField(models.BigIntegerField())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["dimension", "measure", "step", "value", "at"], name="histogram_once"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["dimension", "measure", "step", "at"], name="histogram_by_time")
        ]


class _Total(Sum):
    """A sum of numbers that stays one: the server would make a decimal of it."""

    template = f"{Sum.template}::bigint"


class FigureQuerySet(models.QuerySet[Any]):
    def events(self, *kinds: EventKind) -> "FigureQuerySet":
        found = self.filter(measure=CountKey.Measure.EVENT)
        return found.filter(kind__in=kinds) if kinds else found

    def statuses(self) -> "FigureQuerySet":
        return self.filter(measure=CountKey.Measure.STATUS)

    def unnamed(self) -> "FigureQuerySet":
        """Keep what went to mailbox providers without a name."""
        return self.filter(_UNNAMED)

    def of_cohorts(self, period: Period) -> "FigureQuerySet":
        """Keep what became of the mail that was accepted, or refused, in `period`."""
        return self.filter(cohort_at__gte=period.start, cohort_at__lt=period.end)

    def happened_in(self, period: Period) -> "FigureQuerySet":
        return self.filter(bucket_at__gte=period.start, bucket_at__lt=period.end)

    def summed(self, *columns: str) -> list[tuple[Any, ...]]:
        """Return each combination of `columns` with its sum last."""
        return self._fetched(columns, "{sums}")

    def histograms(self, *columns: str) -> list[tuple[Any, ...]]:
        """Return each combination of `columns` with the slots that have any, which are sorted, and how many each."""
        names = ", ".join(f"c{number}" for number in range(len(columns)))
        return self._fetched(
            (*columns, "kind"),
            f"SELECT {names}, array_agg(slot::int ORDER BY slot::int), array_agg(n ORDER BY slot::int)"  # noqa: S608
            f" FROM ({{sums}}) sums ({names}, slot, n) GROUP BY {names}",
        )

    def _fetched(self, columns: Sequence[str], statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of `statement` over the sums, as the server gives them: Django would look at each cell."""
        try:
            sums, given = self.order_by().values_list(*columns).annotate(total=_Total("n")).query.sql_with_params()  # fmt: skip
        except EmptyResultSet:
            return []
        with connections[self.db].cursor() as cursor:
            cursor.execute(statement.format(sums=sums), given)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows

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


class RolledFigure(models.Model):
    """A view: every rollup, and what is not rolled up yet as if it were."""

    step = models.SmallIntegerField()
    dimension = models.CharField(max_length=40)
    value = models.CharField(max_length=100)
    other = models.CharField(max_length=100)
    cohort_at = models.DateTimeField()
    measure = models.CharField(max_length=6)
    kind = models.CharField(max_length=15)
    reason = models.CharField(max_length=40)
    n = models.BigIntegerField()

    objects = FigureQuerySet.as_manager()

    class Meta:
        managed = False
        db_table = "reports_rolledfigure"


class QueueSample(models.Model):
    """How much waited in a stream in a quarter of an hour, from samples taken all along."""

    bucket_at = models.DateTimeField()
    stream_id = models.BigIntegerField()
    samples = models.IntegerField()
    depth_sum = models.BigIntegerField()  # messages owed; by the samples it gives the mean
    depth_max = models.BigIntegerField()
    held_max = models.BigIntegerField()  # of those, a person must release them
    age_sum = models.BigIntegerField()  # seconds that the oldest due one had waited
    age_max = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["stream_id", "bucket_at"], name="sample_once")
        ]
        indexes: ClassVar = [models.Index(fields=["bucket_at"], name="sample_by_time")]


class Objective(models.Model):
    """What a stream promises: so much of its mail is accepted within so many seconds."""

    stream = models.OneToOneField(
        "transports.Stream", on_delete=models.CASCADE, related_name="+", primary_key=True
    )
    percent = models.DecimalField(max_digits=5, decimal_places=2, default=Decimal(99))
    seconds = models.PositiveIntegerField(
        default=60, choices=[(one, duration(one)) for one in SECONDS]
    )
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.percent.normalize():f} % accepted in {duration(self.seconds)}"


class Seal(models.Model):
    """A day whose counts are final: coarser, and never changed again; `digest` is of what they were."""

    day = models.DateField(primary_key=True)  # in UTC, by when things happened
    rows = models.BigIntegerField()
    total = models.BigIntegerField()
    digest = models.CharField(max_length=32)
    sealed_at = models.DateTimeField(db_default=Now())
