"""Recounts replies by their signature from the events, and compares that with what the pages of signatures read."""

from datetime import datetime
from typing import Any

from mailops.outbox.models import SightingKey
from mailops.reports.sealing import sealed_until
from mailops.reports.verifying import EVER, Difference, differing_rows

_KEY = ", ".join(SightingKey.KEY)

# As for counts, a reply that names no transport is of the one that carried its message until then.
_DIFFERENCE = f"""
WITH asked AS (
    SELECT id, message_id FROM outbox_event
     WHERE was_applied AND signature_id IS NOT NULL AND occurred_at >= %(since)s AND occurred_at < %(until)s
), applied AS (
    SELECT e.id, e.message_id, e.signature_id, e.kind, e.occurred_at, e.transport_id,
           count(e.transport_id) OVER (PARTITION BY e.message_id ORDER BY e.id) AS carried
      FROM outbox_event e WHERE e.was_applied AND e.message_id IN (SELECT message_id FROM asked)
), told AS (
    SELECT *, max(transport_id) OVER (PARTITION BY message_id, carried) AS carrier FROM applied
), recounted AS (
    SELECT e.signature_id, date_bin('15 minutes', e.occurred_at, TIMESTAMPTZ '2000-01-01 00:00Z') AS bucket_at, e.kind,
           m.stream_id, m.campaign_id, e.carrier AS transport_id, m.mailbox_provider, count(*) AS n
      FROM told e JOIN outbox_message m ON m.id = e.message_id
     WHERE e.id IN (SELECT id FROM asked) GROUP BY 1, 2, 3, 4, 5, 6, 7
), counted AS (
    SELECT {_KEY}, n FROM outbox_signaturecount WHERE bucket_at >= %(since)s AND bucket_at < %(until)s
    UNION ALL
    SELECT {_KEY}, n FROM outbox_sighting WHERE bucket_at >= %(since)s AND bucket_at < %(until)s
), both_sides AS (
    SELECT {_KEY}, n AS recount, 0 AS count FROM recounted
    UNION ALL SELECT {_KEY}, 0, n FROM counted
)
SELECT {_KEY}, sum(recount)::bigint AS recount, sum(count)::bigint AS count
  FROM both_sides GROUP BY {_KEY}
HAVING sum(recount) <> sum(count)
 ORDER BY bucket_at, signature_id, kind LIMIT %(limit)s
"""  # noqa: S608 - names of our own


def reply_differences(
    limit: int = 100, *, since: datetime | None = None, until: datetime | None = None
) -> list[Difference]:
    """Return where replies are counted otherwise than the events tell, at most `limit`, by one snapshot.

    What is sealed is left out, as with counts: its events may be gone.
    """
    given: dict[str, Any] = {
        "since": max(since or EVER[0], sealed_until()),
        "until": until or EVER[1],
        "limit": limit,
    }
    rows = differing_rows(_DIFFERENCE, given)
    return [Difference(**row, source="by the replies of events") for row in rows]
