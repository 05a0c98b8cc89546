"""Seals counts that are older than what is counted anew: by the hour, for good, with a digest to prove it.

A day is sealed in one transaction, a day after the last moment at which something could be counted in it.
"""

import logging
from datetime import UTC, date, datetime, time, timedelta
from hashlib import md5

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max, Min

from mailops.lib.locks import advisory_lock
from mailops.outbox.models import CountKey
from mailops.reports.folding import COUNTS
from mailops.reports.models import Count, Seal

logger = logging.getLogger(__name__)

MARGIN = timedelta(days=1)  # what was counted while it was open is folded long before
DAYS = 5  # sealed in one task

_COLUMNS = ", ".join(CountKey.KEY)
_HOUR = "date_bin('1 hour', {}, TIMESTAMPTZ '2000-01-01 00:00Z')"
# By the hour, of all versions, and of providers without a name together. What is rolled up stays rolled up.
_COARSEN = f"""
WITH gone AS (
    DELETE FROM reports_count WHERE measure <> 'status' AND bucket_at >= %(day)s AND bucket_at < %(end)s
    RETURNING *
)
INSERT INTO reports_count ({_COLUMNS}, n)
SELECT {_HOUR.format("bucket_at")}, {_HOUR.format("cohort_at")}, measure, kind, reason, stream_id, campaign_id,
       transport_id, domain_id, NULL::bigint, CASE WHEN strpos(mailbox_provider, '.') = 0 THEN mailbox_provider ELSE '' END,
       sum(n)
  FROM gone GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
"""  # noqa: S608 - names of our own
_SEALED = f"""
SELECT n, row({_COLUMNS}, n)::text FROM reports_count
 WHERE measure <> 'status' AND bucket_at >= %(day)s AND bucket_at < %(end)s
 ORDER BY row({_COLUMNS}, n)::text COLLATE "C"
"""  # noqa: S608 - names of our own
_COARSEN_SAMPLES = f"""
WITH gone AS (
    DELETE FROM reports_queuesample WHERE bucket_at >= %(day)s AND bucket_at < %(end)s RETURNING *
)
INSERT INTO reports_queuesample
       (bucket_at, stream_id, samples, depth_sum, depth_max, held_max, age_sum, age_max)
SELECT {_HOUR.format("bucket_at")}, stream_id, sum(samples), sum(depth_sum), max(depth_max), max(held_max),
       sum(age_sum), max(age_max)
  FROM gone GROUP BY 1, 2
"""  # noqa: S608 - names of our own


def sealed_until() -> datetime:
    """Return the moment before which counts are final."""
    last = Seal.objects.aggregate(last=Max("day"))["last"]
    return _begin(last + timedelta(days=1)) if last else datetime(1970, 1, 1, tzinfo=UTC)


def seal_old_counts(now: datetime, *, days: int = DAYS) -> int:
    """Seal the oldest days that are due, at most so many; return how many were. Passes where another is at the counts."""
    limit = (now - MARGIN - timedelta(days=settings.MAILOPS_COUNT_DAYS)).astimezone(UTC).date()
    done = 0
    while done < days and (day := _next_day()) is not None and day < limit:
        with advisory_lock(COUNTS) as is_ours:
            if not is_ours or not _seal(day):
                return done
        done += 1
    return done


def _next_day() -> date | None:
    last = Seal.objects.aggregate(last=Max("day"))["last"]
    rest = Count.objects.exclude(measure=CountKey.Measure.STATUS)
    if last is not None:
        rest = rest.filter(bucket_at__gte=_begin(last + timedelta(days=1)))
    first: datetime | None = rest.aggregate(first=Min("bucket_at"))["first"]
    return first.astimezone(UTC).date() if first else None


def _seal(day: date) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        span = {"day": _begin(day), "end": _begin(day + timedelta(days=1))}
        cursor.execute(
            "SELECT FROM reports_unrolled WHERE bucket_at >= %(day)s AND bucket_at < %(end)s LIMIT 1",
            span,
        )
        if cursor.fetchone() is not None:
            logger.warning("%s can't be sealed: some of it is not folded yet", day)
            return False
        cursor.execute(_COARSEN, span)
        cursor.execute(_COARSEN_SAMPLES, span)
        for table in ("reports_rollup", "reports_rolledhistogram"):
            cursor.execute(
                f"DELETE FROM {table} WHERE step = 15 AND at >= %(day)s AND at < %(end)s",  # noqa: S608
                span,
            )
        rows, total, digest = _digest_of(day)
        Seal.objects.create(day=day, rows=rows, total=total, digest=digest)
    return True


def _digest_of(day: date) -> tuple[int, int, str]:
    """Return how many counts a day has, of how many things, and their digest: MD5, which a database may refuse to make."""
    rows = total = 0
    digest = md5(usedforsecurity=False)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL timezone = 'UTC'")
    with connection.chunked_cursor() as cursor:
        cursor.execute(_SEALED, {"day": _begin(day), "end": _begin(day + timedelta(days=1))})
        for n, line in cursor:
            rows, total = rows + 1, total + n
            digest.update(md5(line.encode(), usedforsecurity=False).hexdigest().encode())
    return rows, total, digest.hexdigest()


def differing_seals(since: datetime, until: datetime) -> list[str]:
    """Return a sentence for each sealed day between that is not what it was."""
    chosen = Seal.objects.filter(day__gte=since.date(), day__lt=until.date()).order_by("day")
    with transaction.atomic():
        return [
            f"{seal.day} was sealed with {seal.rows:,} counts of {seal.total:,} things, and isn't what it was."
            for seal in chosen
            if _digest_of(seal.day) != (seal.rows, seal.total, seal.digest)
        ]


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
