"""Sends again what did not get through, as a person's recorded act."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.campaigns.models import Campaign
from mailops.outbox.fold import RETRIABLE
from mailops.outbox.models import EventKind, Message, Status
from mailops.outbox.recording import Outcome, Recorded, record_with_retry

CHUNK = 500


class NothingToRetry(Exception):
    """None of the chosen messages can be sent again; the text says why."""


def retriable(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Return those of `messages` that may be sent again; a sensitive stream keeps no content to send."""
    return messages.filter(status__in=RETRIABLE, stream__is_sensitive=False)


def retry_campaign(*, campaign: Campaign, messages: QuerySet[Message], actor: User) -> int:
    """Queue exactly `messages` of the campaign again and let it run; return how many were queued.

    Pressed twice, the second press finds nothing left to queue. Raise NothingToRetry if there is none.
    """
    ids = list(retriable(messages.filter(campaign=campaign)).values_list("pk", flat=True))
    with transaction.atomic():
        locked = Campaign.objects.select_for_update().get(pk=campaign.pk)
        before = locked.state
        if locked.state in {Campaign.State.COMPLETED, Campaign.State.CANCELED}:
            _stop_expansion_of(locked)
            locked.state, locked.finished_at = Campaign.State.RUNNING, None
            locked.save()
        queued = sum(
            _requeue(ids[start : start + CHUNK], actor) for start in range(0, len(ids), CHUNK)
        )
        if not queued:
            raise NothingToRetry(
                "Nothing here can be sent again: every message is on its way or has arrived."
            )
        audit(
            actor=actor,
            verb="campaign.retry",
            subject=locked,
            before={"state": before},
            after={"state": locked.state, "messages": queued},
        )
    return queued


def _stop_expansion_of(campaign: Campaign) -> None:
    """Keep a canceled campaign's audience closed: only what was made is sent again (W6)."""
    if campaign.state == Campaign.State.CANCELED and campaign.expanded_at is None:
        campaign.expanded_at = campaign.finished_at
        campaign.planned = Message.objects.filter(campaign=campaign).count()


def retry_message(*, message: Message, actor: User) -> bool:
    """Queue one message again, whatever campaign it is of; return False where it can't be."""
    if message.campaign is not None:
        try:
            return bool(
                retry_campaign(
                    campaign=message.campaign,
                    messages=Message.objects.filter(pk=message.pk),
                    actor=actor,
                )
            )
        except NothingToRetry:
            return False
    if (
        not retriable(Message.objects.filter(pk=message.pk)).exists()
        and message.status != Status.HELD
    ):
        return False
    done = bool(_requeue([message.pk], actor))
    if done:
        audit(actor=actor, verb="message.retry", subject=message)
    return done


def _requeue(ids: Iterable[int], actor: User) -> int:
    rounds = dict(
        Message.objects.filter(pk__in=list(ids)).order_by("pk").values_list("pk", "round")
    )
    return _applied(
        record_with_retry(
            Outcome(
                message_id=pk,
                kind=EventKind.REQUEUED,
                source="person",
                external_id=f"{pk}:{number}:requeued",
                data={"by": actor.email},
            )
            for pk, number in rounds.items()
        )
    )


def _applied(recorded: list[Recorded]) -> int:
    return sum(one.was_applied for one in recorded)
