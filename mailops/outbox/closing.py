"""Closes open messages set by set, in one statement: canceled, suppressed or expired."""

from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from mailops.outbox.models import ASKS_A_PERSON, EventKind, QueueEntry, Status

_STATUS_OF_SET = {
    EventKind.CANCELED: Status.CANCELED,
    EventKind.SUPPRESSED: Status.SUPPRESSED,
    EventKind.EXPIRED: Status.EXPIRED,
}

# said first of what was sent again from a doubt, and is closed before it left once more
_DOUBT = "It was sent before, and nobody knows whether that arrived. "


def close_all(*, most: int, **what: Any) -> int:
    """Close like `close_set()`, set by set, until nothing is left or `most` were closed; return how many were."""
    done = 0
    while done < most and (closed := close_set(**what)):
        done += closed
    return done


def close_set(
    *,
    kind: EventKind,
    entries: QuerySet[QueueEntry],
    source: str,
    reason: str,
    sentence: str,
    limit: int = 2000,
) -> int:
    """Close up to `limit` open messages of `entries` as canceled, suppressed or expired; return how many were.

    One that was sent again from a doubt, and not answered since, is uncertain again.

    Marked entries are passed over (W4), and those that ask a person whether they were sent: what may have left is none
    of the three. Claimed ones are not: deleting the entry is the fence. Rows that somebody else has locked are skipped
    and met again by the next sweep, so a sweep waits for nobody. What a row says once it is locked counts: one that was
    held, say, since the statement began is left.
    """
    open_ones = entries.filter(marked_at=None).exclude(ASKS_A_PERSON).order_by()
    with transaction.atomic(), connection.cursor() as cursor:
        locked = open_ones.select_for_update(of=("self",), skip_locked=True)
        chosen, params = locked.values("message_id", "is_held")[:limit].query.sql_with_params()
        for number in range(len(params)):
            chosen = chosen.replace("%s", f"%(p{number})s", 1)
        cursor.execute(
            _CLOSE_SET.format(chosen=chosen),
            {
                "kind": kind,
                "status": _STATUS_OF_SET[kind],
                "source": source,
                "reason": reason,
                "sentence": sentence,
                "doubt": _DOUBT,
                "open": settings.MAILOPS_COUNT_DAYS,
                **{f"p{number}": value for number, value in enumerate(params)},
            },
        )
        (closed,) = cursor.fetchone()
    return int(closed)


# One statement: events, statuses, entries and tallies of the whole set agree or none is written. An event's id names its
# time: a late reply opens a message again in the round in which it was closed.
_CLOSE_SET = """
WITH chosen AS MATERIALIZED (
    {chosen}
), picked AS (
    SELECT m.id, m.status, m.round, m.stream_id, m.campaign_id, m.version_id, m.transport_id,
           m.mailbox_provider, m.accepted_at, m.identity_id, clock_timestamp() AS at,
           CASE WHEN m.settling_fence IS NULL THEN %(status)s ELSE 'uncertain' END AS closed_as,
           CASE WHEN m.settling_fence IS NULL THEN '' ELSE %(doubt)s END || %(sentence)s AS sentence
      FROM outbox_message m JOIN chosen ON chosen.message_id = m.id
     WHERE NOT (chosen.is_held AND m.settling_fence IS NOT NULL) FOR UPDATE OF m SKIP LOCKED
), gone AS (
    DELETE FROM outbox_queueentry WHERE message_id = ANY ((SELECT array_agg(id) FROM picked)::bigint[])
), closed AS (
    UPDATE outbox_message m SET status = p.closed_as, reason = %(reason)s, sentence = p.sentence,
           settled_at = p.at,
           merge_data = CASE WHEN s.is_sensitive THEN '{{}}'::jsonb ELSE m.merge_data END
      FROM picked p JOIN transports_stream s ON s.id = p.stream_id WHERE m.id = p.id
), told AS (
    INSERT INTO outbox_event (message_id, kind, source, external_id, occurred_at, round, transport_id, reason,
           fault, sentence, reply_enhanced_status, reply_text, reply_command, was_applied, data)
    SELECT id, %(kind)s, %(source)s, id || ':' || round || ':' || %(kind)s || ':' || extract(epoch FROM at), at, round,
           transport_id, %(reason)s, '', sentence, '', '', '', TRUE, '{{}}'::jsonb
      FROM picked
), counted AS (
    SELECT p.*, i.domain_id, date_bin('15 minutes', p.at, TIMESTAMPTZ '2000-01-01 00:00Z') AS bucket
      FROM picked p JOIN domains_identity i ON i.id = p.identity_id
), tallied AS (
    INSERT INTO outbox_tally (bucket_at, cohort_at, measure, kind, reason, stream_id, campaign_id, transport_id,
           domain_id, version_id, mailbox_provider, n)
    SELECT bucket, CASE WHEN accepted_at IS NULL THEN bucket ELSE date_bin('15 minutes', greatest(accepted_at,
               statement_timestamp() - make_interval(days => %(open)s)), TIMESTAMPTZ '2000-01-01 00:00Z') END, 'event',
           %(kind)s, %(reason)s, stream_id, campaign_id, transport_id, domain_id, version_id, mailbox_provider,
           count(*)
      FROM counted GROUP BY 1, 2, 6, 7, 8, 9, 10, 11
    UNION ALL
    SELECT bucket, NULL, 'status', kind, '', stream_id, campaign_id, NULL, domain_id, version_id, '', sum(n)
      FROM (SELECT *, status AS kind, -1 AS n FROM counted
            UNION ALL SELECT *, closed_as, 1 FROM counted) moved
     GROUP BY 1, 4, 6, 7, 9, 10
)
SELECT count(*) FROM picked
"""
