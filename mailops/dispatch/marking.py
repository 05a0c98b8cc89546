"""Marks claimed messages as about to send a body: the last gate, committed before the first byte (states.md, "Mark")."""

import json
from collections.abc import Sequence

from mailops.dispatch.claiming import Claim, Job
from mailops.outbox.accepting import ACCEPTING, Handover
from mailops.outbox.ledger import fetch_by_index

# What makes a statement mark: common table expressions over one parameter, the jobs as JSON. `marked` may send a body:
# the claim stands, the worker lives, it is in its hours, nothing is suppressed or paused. The worker is looked up row by
# row: joined, the server may go by what it holds, and walks through all that it sent since the last vacuum.
_MARKING = """
ready AS (
    SELECT * FROM json_to_recordset(%s::json) AS v(message_id bigint, fence bigint, transport_id bigint)
), marked AS (
    UPDATE outbox_queueentry e SET marked_at = clock_timestamp()
      FROM ready v
     WHERE e.message_id = ANY ((SELECT array_agg(message_id) FROM ready)::bigint[])
       AND e.message_id = v.message_id AND e.fence = v.fence AND e.marked_at IS NULL AND NOT e.is_held
       AND (e.closes_at IS NULL OR (e.due_at <= clock_timestamp() AND e.closes_at > clock_timestamp()))
       AND (SELECT w.dead_at IS NULL AND w.stopped_at IS NULL FROM dispatch_worker w WHERE w.id = e.worker_id)
       AND EXISTS (SELECT FROM transports_stream s WHERE s.id = e.stream_id AND s.state = 'running')
       AND EXISTS (SELECT FROM transports_transport t WHERE t.id = v.transport_id AND t.state = 'running')
       AND (e.campaign_id IS NULL OR EXISTS (
            SELECT FROM campaigns_campaign c WHERE c.id = e.campaign_id AND c.state = 'running'))
       AND NOT EXISTS (SELECT FROM suppressions_suppression x
                        WHERE x.address_key = e.address_key AND (x.stream_id IS NULL OR x.stream_id = e.stream_id)
                          AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp()))
       {condition}
    RETURNING e.message_id, e.fence
)
"""
_MARK = f"WITH {_MARKING.format(condition='')} SELECT message_id, fence FROM marked"  # noqa: S608 - our own words
_ACCEPT_AND_MARK = f"""
WITH {ACCEPTING},
{_MARKING.format(condition="AND (SELECT count(*) FROM picked) = (SELECT count(*) FROM told)")}
SELECT (SELECT count(*) FROM picked), ARRAY(SELECT ARRAY[message_id, fence] FROM marked)
"""  # noqa: S608 - our own words


def mark(jobs: Sequence[Job]) -> set[Claim]:
    """Mark these as about to send a body; return the claims that may."""
    if not jobs:
        return set()
    return {(message_id, fence) for message_id, fence in fetch_by_index(_MARK, [_told(jobs)])}


def accept_and_mark(handovers: Sequence[Handover], jobs: Sequence[Job]) -> set[Claim] | None:
    """Accept what was handed over and mark what follows it, in one statement; return the claims that may go on.

    None where a handover does not qualify for the quick way: the others are accepted, nothing is marked, and all of
    them may be recorded again.
    """
    ((accepted, marked),) = fetch_by_index(
        _ACCEPT_AND_MARK, [json.dumps(handovers, default=str), _told(jobs)]
    )
    if accepted != len(handovers):
        return None
    return {(message_id, fence) for message_id, fence in marked}


def _told(jobs: Sequence[Job]) -> str:
    return json.dumps(
        [
            {"message_id": job.message_id, "fence": job.fence, "transport_id": job.transport_id}
            for job in jobs
        ]
    )
