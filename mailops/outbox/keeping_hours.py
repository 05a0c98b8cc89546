"""Moves messages of campaigns into the hours in which they may leave, each by the clock of its recipient.

The time that a message waits for its hours is no time in which it could have left: its expiry moves along.
"""

import json
from collections.abc import Mapping
from typing import Any

from django.db import connection, transaction

from mailops.campaigns.models import Campaign
from mailops.lib.hours import opening
from mailops.outbox.ledger import fetch_dicts

CHUNK = 5000


def keep_hours(due: Mapping[int, int]) -> int:
    """Move open messages that would be due outside the hours of their campaign; return how many were looked at.

    `due` is message → campaign. In the transaction that made them due.
    """
    campaigns = _campaigns(set(due.values()))
    kept = {pk for pk, campaign in campaigns.items() if campaign.hours.are_set}
    ids = [message_id for message_id, campaign_id in due.items() if campaign_id in kept]
    return _move("e.message_id = ANY(%(ids)s)", {"ids": ids})[0] if ids else 0


def move_closed(*, chunk: int = CHUNK) -> int:
    """Move messages of running campaigns whose hours were over before they left; return how many.

    The claim passes them over meanwhile. Safe to run twice at once.
    """
    where = """
        e.closes_at <= statement_timestamp() AND e.worker_id IS NULL AND NOT e.is_held
        AND e.campaign_id IN (SELECT id FROM campaigns_campaign WHERE state = 'running')
        LIMIT %(chunk)s FOR UPDATE OF e SKIP LOCKED
    """
    with transaction.atomic():
        return _move(where, {"chunk": chunk})[0]


def move_changed(*, chunk: int = CHUNK) -> int:
    """Move messages of one started campaign whose hours were changed into the new ones; return how many.

    Those that were deferred keep their time where the new hours allow it; the others may leave as soon as these do.
    """
    with transaction.atomic():
        changed = Campaign.objects.exclude(rehours_from=None).select_for_update(
            of=("self",), skip_locked=True
        )
        campaign = changed.order_by("pk").first()
        if campaign is None:
            return 0
        where = """
            e.campaign_id = %(campaign)s AND e.message_id > %(cursor)s AND e.marked_at IS NULL
            ORDER BY e.message_id LIMIT %(chunk)s FOR UPDATE OF e
        """
        params = {"campaign": campaign.pk, "cursor": campaign.rehours_from, "chunk": chunk}
        moved, last = _move(where, params, wanted="CASE WHEN e.attempts > 0 THEN e.due_at END")
        campaign.rehours_from = last if moved == chunk else None
        campaign.save(update_fields=["rehours_from"])
    return moved


def _campaigns(ids: set[int]) -> dict[int, Campaign]:
    return Campaign.objects.select_related("stream").in_bulk(ids) if ids else {}


def _move(where: str, params: dict[str, Any], *, wanted: str = "e.due_at") -> tuple[int, int]:
    """Move the entries that fulfil `where` to their hours at or after `wanted`; return how many, and the last one's id."""
    # when each wants to leave, and since when it only waits for that
    entries = fetch_dicts(
        f"""
        WITH e AS (
            SELECT e.message_id, e.campaign_id, e.address_key, e.due_at, e.closes_at, e.attempts
              FROM outbox_queueentry e WHERE {where}
        )
        SELECT e.message_id, e.campaign_id, coalesce(c.time_zone, '') AS zone,
               greatest({wanted}, clock_timestamp()) AS wanted_at,
               greatest(e.due_at, least(e.closes_at, clock_timestamp())) AS waits_since
          FROM e LEFT JOIN audiences_contact c ON c.address_key = e.address_key
        """,  # noqa: S608 - conditions of our own
        params,
    )
    campaigns = _campaigns({entry["campaign_id"] for entry in entries})
    moved = [_moved(entry, campaigns[entry["campaign_id"]]) for entry in entries]
    ids = [entry["message_id"] for entry in entries]
    if ids:
        with connection.cursor() as cursor:
            cursor.execute(_UPDATE, [json.dumps(moved, default=str), ids])
    return len(ids), max(ids, default=0)


def _moved(entry: dict[str, Any], campaign: Campaign) -> dict[str, Any]:
    zone = entry["zone"] or campaign.zone_if_unknown
    found = opening(campaign.hours, zone, entry["wanted_at"])
    return {
        "id": entry["message_id"],
        "due_at": found.opens_at,
        "closes_at": found.closes_at,
        "waits": (found.opens_at - entry["waits_since"]).total_seconds(),
    }


# By their ids first: joined to a list, a queue that looks short by its statistics is read whole.
_UPDATE = """
    UPDATE outbox_queueentry e
       SET due_at = v.due_at, closes_at = v.closes_at, owed_at = e.owed_at + make_interval(secs => v.waits),
           expires_at = e.expires_at + make_interval(secs => v.waits)
      FROM json_to_recordset(%s::json) AS v(id bigint, due_at timestamptz, closes_at timestamptz, waits float)
     WHERE e.message_id = ANY(%s) AND e.message_id = v.id
"""
