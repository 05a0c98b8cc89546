"""Recounts everything from events and messages and compares it with the counts, and those with their rollups."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.db import connection
from django.db.models import Max, Min

from mailops.lib.plans import joining_whole_tables
from mailops.outbox.ledger import fetch_dicts, open_span
from mailops.outbox.models import CountKey
from mailops.reports.dimensions import EXPANDED
from mailops.reports.models import Count, RolledHistogram, Rollup
from mailops.reports.sealing import differing_seals, sealed_until

_KEY = ", ".join(CountKey.KEY)
_KEYS = ", ".join(map(str, range(1, 12)))  # their places in a SELECT
_QUARTER = "date_bin('15 minutes', {}, TIMESTAMPTZ '2000-01-01 00:00Z')"

# An event that names no transport, a report for one, is counted for the one that carried the message until then.
# What is told later than counts stay open counts as of the earliest quarter hour that was open then.
_DIFFERENCE = f"""
WITH asked AS (
    SELECT id, message_id FROM outbox_event
     WHERE was_applied AND greatest(occurred_at, recorded_at - %(open)s) >= %(since)s
       AND greatest(occurred_at, recorded_at - %(open)s) < %(until)s
), applied AS (
    SELECT e.id, e.message_id, e.kind, e.reason, e.occurred_at, e.transport_id, e.took_ms, e.waited_ms,
           recorded_at - %(open)s AS open_since,
           count(e.transport_id) OVER (PARTITION BY e.message_id ORDER BY e.id) AS carried,
           first_value(CASE WHEN e.kind = 'accepted' THEN e.occurred_at END) OVER (
               PARTITION BY e.message_id ORDER BY e.kind <> 'accepted', e.id) AS accepted_at,
           first_value(CASE WHEN e.kind = 'accepted' THEN e.id END) OVER (
               PARTITION BY e.message_id ORDER BY e.kind <> 'accepted', e.id) AS accepted_id
      FROM outbox_event e WHERE e.was_applied AND e.message_id IN (SELECT message_id FROM asked)
), told AS (
    SELECT *, max(transport_id) OVER (PARTITION BY message_id, carried) AS carrier FROM applied
), placed AS (
    SELECT {_QUARTER.format("greatest(e.occurred_at, open_since)")} AS bucket_at,
           {_QUARTER.format("greatest(CASE WHEN e.accepted_id <= e.id THEN e.accepted_at ELSE e.occurred_at END, open_since)")}
               AS cohort_at,
           e.kind, e.reason, m.stream_id, m.campaign_id, e.carrier AS transport_id, i.domain_id, m.version_id,
           m.mailbox_provider, e.took_ms, e.waited_ms
      FROM told e JOIN outbox_message m ON m.id = e.message_id JOIN domains_identity i ON i.id = m.identity_id
     WHERE e.id IN (SELECT id FROM asked)
), measured AS (
    SELECT *, CASE WHEN strpos(mailbox_provider, '.') = 0 THEN mailbox_provider ELSE '' END AS named FROM placed
     WHERE took_ms IS NOT NULL OR waited_ms IS NOT NULL
), recounted AS (
    SELECT bucket_at, cohort_at, 'event' AS measure, kind, reason, stream_id, campaign_id, transport_id, domain_id,
           version_id, mailbox_provider, count(*) AS n
      FROM placed GROUP BY {_KEYS}
    UNION ALL
    SELECT bucket_at, cohort_at, CASE kind WHEN 'delivered' THEN 'arrive' ELSE 'accept' END,
           outbox_slot(took_ms)::text, '', stream_id, campaign_id, transport_id, domain_id, NULL::bigint, named, count(*)
      FROM measured WHERE took_ms IS NOT NULL GROUP BY {_KEYS}
    UNION ALL
    SELECT bucket_at, cohort_at, 'queue', outbox_slot(waited_ms)::text, '', stream_id, campaign_id, transport_id,
           domain_id, NULL::bigint, named, count(*)
      FROM measured WHERE waited_ms IS NOT NULL GROUP BY {_KEYS}
    UNION ALL
    SELECT NULL, NULL, 'status', m.status, '', m.stream_id, m.campaign_id, NULL, i.domain_id, m.version_id, '',
           count(*)
      FROM outbox_message m JOIN domains_identity i ON i.id = m.identity_id WHERE %(statuses)s
     GROUP BY 4, 6, 7, 9, 10
), counted AS (
    SELECT CASE measure WHEN 'status' THEN NULL ELSE bucket_at END, cohort_at,
           measure, kind, reason, stream_id, campaign_id, transport_id, domain_id, version_id, mailbox_provider,
           sum(n) AS n
      FROM reports_figure
     WHERE CASE measure WHEN 'status' THEN %(statuses)s ELSE bucket_at >= %(since)s AND bucket_at < %(until)s END
     GROUP BY {_KEYS}
), both_sides AS (
    SELECT *, n AS recount, 0 AS count FROM recounted
    UNION ALL SELECT *, 0, n FROM counted
)
SELECT {_KEY}, sum(recount)::bigint AS recount, sum(count)::bigint AS count
  FROM both_sides GROUP BY {_KEYS}
HAVING sum(recount) <> sum(count)
 ORDER BY 3, 1, 4 LIMIT %(limit)s
"""  # noqa: S608 - names of our own

_ROLLED = f"""
WITH counted AS (
    SELECT * FROM ({
    EXPANDED.format(
        source=f'''(
        SELECT {_KEY}, n FROM reports_count WHERE cohort_at >= %(since)s AND cohort_at < %(until)s
        UNION ALL
        SELECT {_KEY}, -n FROM reports_delta WHERE cohort_at >= %(since)s AND cohort_at < %(until)s)'''
    )
}) expanded
), both_sides AS (
    SELECT step, dimension, value, other, at, measure, kind, reason, n AS recount, 0 AS count FROM counted
    UNION ALL
    SELECT step, dimension, value, other, at, measure, kind, reason, 0, n FROM reports_rolled
     WHERE at >= %(since)s AND at < %(until)s
)
SELECT step, dimension, value, other, at, measure, kind, reason, sum(recount)::bigint AS recount,
       sum(count)::bigint AS count
  FROM both_sides WHERE step > 15 OR NOT %(sealed)s GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
HAVING sum(recount) <> sum(count)
 ORDER BY 5, 1, 2 LIMIT %(limit)s
"""  # noqa: S608 - names of our own

EVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Difference:
    """A key whose count is not what it is counted from."""

    key: dict[str, Any]
    recount: int
    count: int
    source: str = "by events and messages"

    def __str__(self) -> str:
        key = ", ".join(
            f"{name}={value}" for name, value in self.key.items() if value not in {None, ""}
        )
        return f"{key}: counted {self.count}, {self.source} {self.recount}"


def differences(
    limit: int = 100, *, since: datetime | None = None, until: datetime | None = None
) -> list[Difference]:
    """Return where counts and recount differ, at most `limit`, by one snapshot of the database.

    What is sealed is left out: its events may be gone. Statuses have no time, so a range leaves them out.
    """
    given = {
        "open": open_span(),
        "since": max(since or EVER[0], sealed_until()),
        "until": until or EVER[1],
        "statuses": since is None and until is None,
        "limit": limit,
    }
    return [Difference(**row) for row in differing_rows(_DIFFERENCE, given)]


def rollup_differences(
    limit: int = 100, *, since: datetime | None = None, until: datetime | None = None
) -> list[Difference]:
    """Return where rollups are not what they are rolled up from, at most `limit`, a day by a snapshot."""
    found: list[Difference] = []
    sealed = sealed_until()
    for day in _days(since or EVER[0], until or EVER[1]):
        given = {"since": day, "until": day + DAY, "sealed": day < sealed, "limit": limit}
        rows = differing_rows(_ROLLED, given)
        found += [Difference(**row, source="by the counts it is rolled up from") for row in rows]
        if len(found) >= limit:
            break
    return found[:limit]


def broken_seals(
    limit: int = 100, *, since: datetime | None = None, until: datetime | None = None
) -> list[str]:
    """Return a sentence for each sealed day whose counts are not what they were when it was sealed."""
    return differing_seals(since or EVER[0], until or EVER[1])[:limit]


def _days(since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the days, in UTC, of the cohorts there are."""
    rows = [
        Count.objects.exclude(measure=CountKey.Measure.STATUS).aggregate(
            first=Min("cohort_at"), last=Max("cohort_at")
        ),
        Rollup.objects.aggregate(first=Min("at"), last=Max("at")),
        RolledHistogram.objects.aggregate(first=Min("at"), last=Max("at")),
    ]
    known = [row for row in rows if row["first"] is not None]
    if not known:
        return
    first = max(min(row["first"] for row in known), since)
    last = min(max(row["last"] for row in known), until - timedelta(microseconds=1))
    day = datetime.combine(first.astimezone(UTC).date(), time(), UTC)
    while day <= last:
        yield day
        day += DAY


def differing_rows(sql: str, given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a Difference is made of, for each row of a statement that compares a recount with the counts."""
    with joining_whole_tables(connection):
        rows = fetch_dicts(sql, given)
    return [{"recount": row.pop("recount"), "count": row.pop("count"), "key": row} for row in rows]
