"""Accepts in one statement what sessions handed over: the commonest case of `recording.record`, and nothing but that.

A message qualifies while its entry is still claimed by the fence that the reply belongs to, and nothing else is known of
it: then the fold can only make it accepted. Whatever does not qualify is left to the fold.
"""

import json
from collections.abc import Sequence
from typing import Any, TypedDict

from mailops.outbox.ledger import fetch_prepared


class Handover(TypedDict):
    """The final positive reply to one claimed message."""

    message_id: int
    source: str
    external_id: str
    fence: int
    round: int
    transport_id: int
    reply_code: int
    reply_enhanced_status: str
    reply_text: str
    reply_command: str
    transport_message_id: str
    data: dict[str, Any]


def accept_claimed(handovers: Sequence[Handover]) -> dict[int, tuple[str, int]]:
    """Accept those that qualify, in the caller's transaction; return their status before and event id by message id."""
    told = json.dumps(handovers, default=str)
    return {
        message_id: (status, event_id)
        for message_id, status, event_id in fetch_prepared(_ACCEPT, [told])
    }


# What makes a statement accept: common table expressions over one parameter, the handovers as JSON.
# `picked` are the messages that were accepted. Ids stand in an array where rows are looked for, because the server takes
# an array for short and a function's result for long: else it would read the whole queue each time.
ACCEPTING = """
told AS (
    SELECT * FROM json_to_recordset(%s::json) AS t(message_id bigint, source text, external_id text, fence bigint,
           round smallint, transport_id bigint, reply_code smallint, reply_enhanced_status text, reply_text text,
           reply_command text, transport_message_id text, data jsonb)
), locked AS (
    SELECT m.id, m.status, m.stream_id, m.campaign_id, m.version_id, m.identity_id, m.mailbox_provider,
           e.owed_at, e.due_at, e.marked_at, t.*
      FROM told t
      JOIN outbox_message m ON m.id = t.message_id
      JOIN outbox_queueentry e ON e.message_id = t.message_id
     WHERE e.message_id = ANY ((SELECT array_agg(message_id) FROM told)::bigint[])
       AND e.fence = t.fence AND m.evidence < 2 AND m.accepted_at IS NULL AND t.round >= m.positive_from_round
     ORDER BY m.id FOR UPDATE OF m, e
), picked AS (
    SELECT l.*, i.domain_id, s.is_sensitive, now.at, outbox_ms(now.at - owed_at) AS took,
           outbox_ms(marked_at - due_at) AS waited,
           date_bin('15 minutes', now.at, '2000-01-01 00:00Z') AS bucket
      FROM locked l
      JOIN domains_identity i ON i.id = l.identity_id
      JOIN transports_stream s ON s.id = l.stream_id
     CROSS JOIN (SELECT clock_timestamp() AS at) now
), gone AS (
    DELETE FROM outbox_queueentry WHERE message_id = ANY ((SELECT array_agg(id) FROM picked)::bigint[])
), closed AS (
    UPDATE outbox_message m SET
           status = 'accepted', evidence = 2, transport_id = p.transport_id, accepted_at = p.at, settled_at = p.at,
           reason = '', sentence = '', reply_code = p.reply_code, reply_enhanced_status = p.reply_enhanced_status,
           reply_text = p.reply_text, reply_command = p.reply_command,
           transport_message_id = coalesce(nullif(p.transport_message_id, ''), m.transport_message_id),
           merge_data = CASE WHEN p.is_sensitive THEN '{}'::jsonb ELSE m.merge_data END
      FROM picked p WHERE m.id = p.id
), written AS (
    INSERT INTO outbox_event (message_id, kind, source, external_id, occurred_at, round, fence, transport_id, reason,
           fault, sentence, reply_code, reply_enhanced_status, reply_text, reply_command, was_applied, took_ms, waited_ms,
           data)
    SELECT id, 'accepted', source, external_id, at, round, fence, transport_id, '', '', '', reply_code,
           reply_enhanced_status, reply_text, reply_command, TRUE, took, waited, data
      FROM picked
    RETURNING id, message_id
), tallied AS (
    INSERT INTO outbox_tally (bucket_at, cohort_at, measure, kind, reason, stream_id, campaign_id, transport_id,
           domain_id, version_id, mailbox_provider, n, took, waited)
    SELECT bucket, bucket, 'event', 'accepted', '', stream_id, campaign_id, transport_id, domain_id, version_id,
           mailbox_provider, count(*), array_agg(outbox_slot(took)), array_agg(outbox_slot(waited))
      FROM picked GROUP BY 1, 2, 6, 7, 8, 9, 10, 11
    UNION ALL
    SELECT bucket, NULL, 'status', moved.kind, '', stream_id, campaign_id, NULL, domain_id, version_id, '', sum(n),
           NULL, NULL
      FROM picked p, LATERAL (VALUES (p.status, -1), ('accepted', 1)) moved(kind, n)
     GROUP BY 1, 4, 6, 7, 9, 10
)
"""

_ACCEPT = f"""
WITH {ACCEPTING}
SELECT p.id, p.status, w.id FROM picked p JOIN written w ON w.message_id = p.id
"""  # noqa: S608 - our own words
