"""What a look at the queues each minute would have seen in the two weeks that never were."""

from datetime import datetime

from django.db import connection

# As reports.sampling looks: a message waits from when it was owed until the next hop had it or it was settled.
_SAMPLES = """
WITH looks AS (
    SELECT stream_id, look, count(*) AS depth, extract(epoch FROM look - min(created_at))::bigint AS age
      FROM outbox_message, generate_series(
          date_trunc('minute', created_at) + interval '1 minute', coalesce(accepted_at, settled_at), interval '1 minute'
      ) look
     GROUP BY stream_id, look
), quarters AS (
    SELECT stream_id, generate_series(
               date_bin('15 minutes', min(created_at), TIMESTAMPTZ '2000-01-01 00:00Z'),
               date_bin('15 minutes', %(now)s, TIMESTAMPTZ '2000-01-01 00:00Z') - interval '15 minutes',
               interval '15 minutes'
           ) AS bucket_at
      FROM outbox_message GROUP BY stream_id
)
INSERT INTO reports_queuesample (bucket_at, stream_id, samples, depth_sum, depth_max, held_max, age_sum, age_max)
SELECT q.bucket_at, q.stream_id, 15, coalesce(sum(depth), 0), coalesce(max(depth), 0), 0, coalesce(sum(age), 0),
       coalesce(max(age), 0)
  FROM quarters q LEFT JOIN looks l
    ON l.stream_id = q.stream_id AND l.look >= q.bucket_at AND l.look < q.bucket_at + interval '15 minutes'
 GROUP BY q.bucket_at, q.stream_id
"""


def tell_queues(*, now: datetime) -> None:
    """Write the samples of all messages there are, up to the quarter of an hour that runs."""
    with connection.cursor() as cursor:
        cursor.execute(_SAMPLES, {"now": now})
