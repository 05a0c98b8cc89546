"""Lets a paused campaign run again, for the pause that a person saw."""

from django.db import transaction

from mailops.accounts.models import User
from mailops.campaigns.models import Campaign
from mailops.outbox.ledger import fetch_first
from mailops.outbox.models import QueueEntry
from mailops.outbox.retrying import lock_campaign
from mailops.outbox.waiting import COUNTED

CHUNK = 5000


def resume_campaign(*, campaign: Campaign, actor: User | None, seen: str | None = None) -> bool:
    """Let the campaign run again; return False where it isn't paused, or has not started.

    Whoever presses on a page gives the mark of the pause as `seen` there: raise PausedAnew where it is another one by
    now. What a restored database owes waited for a person, so its stream's time begins anew: soon after, beside the
    ticks, and nothing of it expires before.
    """
    with transaction.atomic():
        locked = lock_campaign(campaign.pk)
        locked.expect_pause(seen)
        if locked.was_restored:
            locked.retime_from = 0
            locked.save(update_fields=["retime_from"])
        return locked.resume(actor=actor)


def give_whole_time(*, chunk: int = CHUNK) -> int:
    """Give the next messages of one resumed campaign their stream's whole time; return how many.

    Expired, one would count as what certainly did not arrive. The time begins with the hours that one waits for.
    """
    with transaction.atomic():
        resumed = Campaign.objects.exclude(retime_from=None).select_related("stream")
        campaign = resumed.select_for_update(of=("self",), skip_locked=True).order_by("pk").first()
        if campaign is None:
            return 0
        given = fetch_first(
            _GIVE,
            [campaign.pk, campaign.retime_from, chunk, campaign.stream.expiry_seconds],
        )
        campaign.retime_from = max(given) if len(given) == chunk else None
        campaign.save(update_fields=["retime_from"])
    return len(given)


_GIVE = """
WITH next AS (
    SELECT message_id FROM outbox_queueentry WHERE campaign_id = %s AND message_id > %s
     ORDER BY message_id LIMIT %s FOR UPDATE
)
UPDATE outbox_queueentry e
   SET expires_at = greatest(e.expires_at, make_interval(secs => %s) + CASE
           WHEN e.closes_at IS NULL THEN statement_timestamp() ELSE greatest(e.due_at, statement_timestamp()) END)
  FROM next WHERE e.message_id = next.message_id
RETURNING e.message_id
"""


def count_untimed(campaign: Campaign) -> int:
    """Return how many messages are yet to be given their whole time, counted up to COUNTED."""
    if campaign.retime_from is None:
        return 0
    behind = QueueEntry.objects.filter(campaign=campaign, pk__gt=campaign.retime_from)
    return behind[:COUNTED].count()
