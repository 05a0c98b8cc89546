"""Starts campaigns whose time has come, and completes those that balance."""

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.campaigns.models import Campaign
from mailops.outbox.ledger import fetch_dicts
from mailops.outbox.models import QueueEntry, Resending


def complete_finished() -> int:
    """Complete every running campaign that has no open message left, and gets none again; return how many."""
    is_open = Exists(QueueEntry.objects.filter(campaign=OuterRef("pk")))
    is_retried = Exists(Resending.objects.touching(OuterRef("pk")))
    candidates = Campaign.objects.filter(
        ~is_open, ~is_retried, state=Campaign.State.RUNNING, expanded_at__isnull=False
    )
    return sum(complete(pk) for pk in candidates.values_list("pk", flat=True))


def complete(campaign_id: int) -> bool:
    """Complete the campaign if nothing is open and its rows are those that were planned (W6); else leave it.

    The tests are new statements after the lock, so they see what committed before it was ours.
    """
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
        if campaign.state != Campaign.State.RUNNING or campaign.expanded_at is None:
            return False
        if QueueEntry.objects.filter(campaign=campaign).exists():
            return False
        if Resending.objects.touching(campaign).exists():
            return False
        balance = _balance(campaign_id)
        if sum(balance.values()) != campaign.planned:
            return False
        campaign.state, campaign.finished_at = Campaign.State.COMPLETED, timezone.now()
        campaign.save(update_fields=["state", "finished_at"])
        audit(
            actor=None,
            verb="campaign.complete",
            subject=campaign,
            after={"balance": balance},
        )
    return True


def _balance(campaign_id: int) -> dict[str, int]:
    rows = fetch_dicts(
        "SELECT status, count(*) AS n FROM outbox_message WHERE campaign_id = %s GROUP BY status",
        [campaign_id],
    )
    return {row["status"]: row["n"] for row in rows}
