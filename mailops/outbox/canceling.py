"""Cancels a campaign and the messages that have not left yet."""

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.campaigns.models import Campaign
from mailops.outbox.closing import close_all
from mailops.outbox.models import ASKS_A_PERSON, EventKind, Message, QueueEntry


def cancel_campaign(*, campaign: Campaign, actor: User | None, reason: str = "") -> bool:
    """Cancel the campaign for good; return False where it was completed or canceled already.

    Of what is not on its way a first set is canceled at once, the rest by the ticks' sweeps (W4); none of it is claimed.
    """
    with transaction.atomic():
        locked = Campaign.objects.select_for_update().get(pk=campaign.pk)
        if not locked.may_be_canceled:
            return False
        before = locked.state
        locked.state = Campaign.State.CANCELED
        locked.finished_at = timezone.now()
        if locked.has_messages:
            close_audience(locked)
        locked.save(update_fields=["state", "finished_at", "expanded_at", "planned"])
        audit(
            actor=actor,
            verb="campaign.cancel",
            subject=locked,
            before={"state": before},
            after={"state": locked.state},
            reason=reason,
        )
    sweep_canceled(campaign_ids=[campaign.pk], most=2_000)
    return True


def close_audience(campaign: Campaign) -> None:
    """Have no more of the audience of a locked, canceled campaign read: what was made of it is all that it owes (W6)."""
    if campaign.expanded_at is None:
        campaign.expanded_at = campaign.finished_at
        campaign.planned = Message.objects.filter(campaign=campaign).count()


def sweep_canceled(*, campaign_ids: list[int] | None = None, most: int = 10_000) -> int:
    """Cancel up to `most` unmarked messages of canceled campaigns; return how many were."""
    is_open = Exists(QueueEntry.objects.filter(campaign=OuterRef("pk")))
    canceled = Campaign.objects.filter(is_open, state=Campaign.State.CANCELED)
    if campaign_ids is not None:
        canceled = canceled.filter(pk__in=campaign_ids)
    # asked for apart: it is nearly always none, and then the queue need not be read
    unfinished = list(canceled.values_list("pk", flat=True))
    entries = QueueEntry.objects.filter(campaign__in=unfinished, marked_at=None)
    # what is held to ask whether it was sent stays, for as long as nobody answers
    if not unfinished or not entries.exclude(ASKS_A_PERSON).exists():
        return 0
    return close_all(
        most=most,
        kind=EventKind.CANCELED,
        entries=entries,
        source="outbox",
        reason="campaign_canceled",
        sentence="The campaign was canceled before this message left.",
    )
