"""Puts messages in doubt that nobody was seen sending: those a restored database owes, and may have sent."""

from django.db import transaction

from mailops.campaigns.models import Campaign
from mailops.outbox.ledger import fetch_dicts
from mailops.outbox.models import EventKind
from mailops.outbox.recording import Outcome, record

CHUNK = 500


def doubt_single_messages() -> int:
    """Doubt the next single messages that are queued and were there before this; return how many were.

    Each stream's guarantee says what becomes of them, as if their replies were lost: rest, ask, or go again.
    """
    with transaction.atomic():
        outcomes = take_into_doubt(campaign=None, after=0, most=CHUNK)
        record(outcomes)
    return len(outcomes)


def take_into_doubt(*, campaign: Campaign | None, after: int, most: int) -> list[Outcome]:
    """Mark the next queued messages of `campaign`, or single ones, as if they were being sent; return what to record.

    A claim is taken away from whoever has it, since its process is of before the restore. What goes again by its
    guarantee has been doubted once, so it is not met twice.
    """
    rows = fetch_dicts(
        _TAKE.format(of="q.campaign_id = %(campaign)s" if campaign else "q.campaign_id IS NULL"),
        {"campaign": campaign.pk if campaign else None, "after": after, "most": most},
    )
    return [
        Outcome(
            message_id=row["message_id"],
            kind=EventKind.UNCERTAIN,
            source="dispatch",
            external_id=f"{row['fence']}:uncertain",
            fence=row["fence"],
            transport_id=row["transport_id"],
            reason="restored",
            sentence="The database was restored from a backup that has this message unsent: "
            "it may have been sent since.",
        )
        for row in sorted(rows, key=lambda row: int(row["message_id"]))
    ]


_TAKE = """
UPDATE outbox_queueentry e
   SET fence = nextval('outbox_fence'), worker_id = NULL, marked_at = coalesce(e.marked_at, m.created_at)
  FROM outbox_message m
 WHERE m.id = e.message_id
   AND e.message_id IN (
       SELECT q.message_id FROM outbox_queueentry q JOIN outbox_message n ON n.id = q.message_id
        WHERE {of} AND NOT q.is_held AND q.message_id > %(after)s
          AND NOT EXISTS (SELECT FROM outbox_event x
                           WHERE x.message_id = q.message_id AND x.reason = 'restored' AND x.round = n.round - 1)
        ORDER BY q.message_id LIMIT %(most)s FOR UPDATE OF q)
RETURNING e.message_id, e.fence, CASE WHEN e.marked_at <> m.created_at THEN e.transport_id END AS transport_id
"""
