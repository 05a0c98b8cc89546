"""Puts messages in doubt that nobody was seen sending: those a restored database owes, and may have sent."""

from django.db import transaction

from mailops.outbox.ledger import fetch_dicts
from mailops.outbox.models import EventKind
from mailops.outbox.recording import Outcome, record

CHUNK = 500


def doubt_single_messages() -> int:
    """Doubt the next single messages that are queued and were there before this; return how many were.

    Each stream's guarantee says what becomes of them, as if their replies were lost: rest, ask, or go again. A claim
    is taken away from whoever has it, since its process is of before the restore.
    """
    with transaction.atomic():
        rows = fetch_dicts(_DOUBT, [CHUNK])
        record(
            Outcome(
                message_id=row["message_id"],
                kind=EventKind.UNCERTAIN,
                source="dispatch",
                external_id=f"{row['fence']}:uncertain",
                fence=row["fence"],
                reason="restored",
                sentence="The database was restored from a backup that has this message unsent: "
                "it may have been sent since.",
            )
            for row in rows
        )
    return len(rows)


# A message that goes again by its guarantee has been doubted once, so it is not met twice.
_DOUBT = """
UPDATE outbox_queueentry e
   SET fence = nextval('outbox_fence'), worker_id = NULL, marked_at = coalesce(e.marked_at, m.created_at)
  FROM outbox_message m
 WHERE m.id = e.message_id
   AND e.message_id IN (
       SELECT q.message_id FROM outbox_queueentry q JOIN outbox_message n ON n.id = q.message_id
        WHERE q.campaign_id IS NULL AND NOT q.is_held
          AND NOT EXISTS (SELECT FROM outbox_event x
                           WHERE x.message_id = q.message_id AND x.reason = 'restored' AND x.round = n.round - 1)
        ORDER BY q.message_id LIMIT %s FOR UPDATE OF q)
RETURNING e.message_id, e.fence
"""
