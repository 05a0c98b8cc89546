"""Recounts everything from events and messages and compares it with the counts."""

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

_KEY = """bucket_at, cohort_at, measure, kind, reason, stream_id, campaign_id, transport_id, domain_id, version_id,
       mailbox_provider"""
_KEYS = ", ".join(map(str, range(1, 12)))  # their places in a SELECT

# An event that names no transport, a report for one, is counted for the one that carried the message until then.
_DIFFERENCE = f"""
WITH accepted AS (
    SELECT DISTINCT ON (message_id) message_id, id, occurred_at FROM outbox_event
     WHERE kind = 'accepted' AND was_applied ORDER BY message_id, id
), applied AS (
    SELECT id, message_id, kind, reason, occurred_at, transport_id,
           count(transport_id) OVER (PARTITION BY message_id ORDER BY id) AS carried
      FROM outbox_event WHERE was_applied
), told AS (
    SELECT id, message_id, kind, reason, occurred_at,
           max(transport_id) OVER (PARTITION BY message_id, carried) AS transport_id
      FROM applied
), recounted AS (
    SELECT date_bin('15 minutes', e.occurred_at, TIMESTAMPTZ '2000-01-01 00:00Z') AS bucket_at,
           date_bin('15 minutes', CASE WHEN a.id <= e.id THEN a.occurred_at ELSE e.occurred_at END,
                    TIMESTAMPTZ '2000-01-01 00:00Z') AS cohort_at,
           'event' AS measure, e.kind, e.reason, m.stream_id, m.campaign_id, e.transport_id, i.domain_id,
           m.version_id, m.mailbox_provider, count(*) AS n
      FROM told e JOIN outbox_message m ON m.id = e.message_id
      JOIN domains_identity i ON i.id = m.identity_id
      LEFT JOIN accepted a ON a.message_id = e.message_id
     GROUP BY {_KEYS}
    UNION ALL
    SELECT NULL, NULL, 'status', m.status, '', m.stream_id, m.campaign_id, NULL, i.domain_id, m.version_id, '',
           count(*)
      FROM outbox_message m JOIN domains_identity i ON i.id = m.identity_id
     GROUP BY 4, 6, 7, 9, 10
), counted AS (
    SELECT CASE measure WHEN 'event' THEN bucket_at END, CASE measure WHEN 'event' THEN cohort_at END,
           measure, kind, reason, stream_id, campaign_id, transport_id, domain_id, version_id, mailbox_provider,
           sum(n) AS n
      FROM reports_figure GROUP BY {_KEYS}
), both_sides AS (
    SELECT *, n AS recount, 0 AS count FROM recounted
    UNION ALL SELECT *, 0, n FROM counted
)
SELECT {_KEY}, sum(recount)::bigint AS recount, sum(count)::bigint AS count
  FROM both_sides GROUP BY {_KEYS}
HAVING sum(recount) <> sum(count)
 ORDER BY 3, 1, 4 LIMIT %s
"""  # noqa: S608 - names of our own


@dataclass(frozen=True)
class Difference:
    """A key whose count is not what events and messages say."""

    key: dict[str, Any]
    recount: int
    count: int

    def __str__(self) -> str:
        key = ", ".join(f"{name}={value}" for name, value in self.key.items() if value is not None)
        return f"{key}: counted {self.count}, by events and messages {self.recount}"


def differences(limit: int = 100) -> list[Difference]:
    """Return where counts and recount differ, at most `limit`, by one snapshot of the database."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_DIFFERENCE, [limit])
        names = [column.name for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [Difference(recount=row.pop("recount"), count=row.pop("count"), key=row) for row in rows]
