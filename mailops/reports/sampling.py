"""Samples how much waits and for how long, stream by stream, and folds the samples into quarter hours."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import F, FloatField, Max, Sum
from django.db.models.functions import Cast

from mailops.lib.locks import advisory_lock
from mailops.reports.models import QueueSample
from mailops.reports.periods import Period


@dataclass(frozen=True)
class Waiting:
    """What waited in a stretch of time; `samples` 0: nobody looked, so nothing is known."""

    samples: int = 0
    mean_depth: float = 0
    most: int = 0
    most_held: int = 0
    mean_age: float = 0  # seconds that the oldest due message had waited
    oldest: int = 0


def queue_samples(
    period: Period, stream_ids: Sequence[int] | None = None
) -> list[tuple[datetime, Waiting]]:
    """Return what waited in each step of `period`, in some streams (a transport's, say), or in all together.

    Of several streams the depths add up, peaks too, which then is the most it can have been; ages don't: the oldest is
    the oldest, and in each quarter hour the greatest of the streams' means counts.
    """
    chosen = QueueSample.objects.filter(bucket_at__gte=period.start, bucket_at__lt=period.end)
    if stream_ids is not None:
        chosen = chosen.filter(stream_id__in=stream_ids)
    found: dict[datetime, list[_Quarter]] = defaultdict(list)
    for at, *numbers in chosen.values_list("bucket_at").annotate(
        Max("samples"), Sum("depth_sum"), Sum("depth_max"), Sum("held_max"),
        Max("age_max"), mean_age=Max(Cast("age_sum", FloatField()) / F("samples")),
    ):  # fmt: skip
        found[period.step_of(at)].append(_Quarter(*numbers))
    return [(step, _merged(found.get(step, []))) for step in period.steps()]


@dataclass(frozen=True)
class _Quarter:
    samples: int
    depth_sum: int
    depth_max: int
    held_max: int
    age_max: int
    mean_age: float


def _merged(quarters: Sequence[_Quarter]) -> Waiting:
    samples = sum(one.samples for one in quarters)
    if not samples:
        return Waiting()
    return Waiting(
        samples=samples,
        mean_depth=sum(one.depth_sum for one in quarters) / samples,
        most=max(one.depth_max for one in quarters),
        most_held=max(one.held_max for one in quarters),
        mean_age=sum(one.mean_age * one.samples for one in quarters) / samples,
        oldest=max(one.age_max for one in quarters),
    )


# Depths are sums of counts, and the oldest entry of each queue is the first of its index: nothing is counted anew.
_SAMPLE = """
WITH RECURSIVE depth AS (
    SELECT stream_id, sum(n) AS owed, sum(n) FILTER (WHERE kind = 'held') AS held
      FROM reports_figure
     WHERE measure = 'status' AND kind IN ('queued', 'deferred', 'held') GROUP BY stream_id
), queue AS (
    SELECT NULL::bigint AS stream_id, NULL::bigint AS campaign, NULL::text AS pool, NULL::timestamptz AS due_at
     UNION ALL
    SELECT following.* FROM queue CROSS JOIN LATERAL (
        SELECT e.stream_id, coalesce(e.campaign_id, 0::bigint), e.pool, e.due_at
          FROM outbox_queueentry e
         WHERE e.worker_id IS NULL AND NOT e.is_held
           AND (queue.stream_id IS NULL OR
                (e.stream_id, coalesce(e.campaign_id, 0::bigint), e.pool) > (queue.stream_id, queue.campaign, queue.pool))
         ORDER BY e.stream_id, coalesce(e.campaign_id, 0::bigint), e.pool, e.due_at LIMIT 1
    ) following
), oldest AS (
    SELECT stream_id, greatest(0, date_part('epoch', clock_timestamp() - min(due_at)))::bigint AS age
      FROM queue WHERE stream_id IS NOT NULL GROUP BY stream_id
)
INSERT INTO reports_queuesample AS q
       (bucket_at, stream_id, samples, depth_sum, depth_max, held_max, age_sum, age_max)
SELECT date_bin('15 minutes', clock_timestamp(), TIMESTAMPTZ '2000-01-01 00:00Z'), s.id, 1,
       coalesce(owed, 0), coalesce(owed, 0), coalesce(held, 0), coalesce(age, 0), coalesce(age, 0)
  FROM transports_stream s LEFT JOIN depth d ON d.stream_id = s.id LEFT JOIN oldest o ON o.stream_id = s.id
ON CONFLICT ON CONSTRAINT sample_once DO UPDATE SET
       samples = q.samples + 1, depth_sum = q.depth_sum + EXCLUDED.depth_sum,
       depth_max = greatest(q.depth_max, EXCLUDED.depth_max), held_max = greatest(q.held_max, EXCLUDED.held_max),
       age_sum = q.age_sum + EXCLUDED.age_sum, age_max = greatest(q.age_max, EXCLUDED.age_max)
"""


def sample_queues() -> None:
    """Look once at every stream; where another process looks just now, it is enough."""
    with advisory_lock("reports.sampling") as is_ours:
        if is_ours:
            with connection.cursor() as cursor:
                cursor.execute(_SAMPLE)
