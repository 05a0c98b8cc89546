"""Sends again what did not get through, as a person's recorded act."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, When

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.campaigns.models import Campaign
from mailops.outbox.fold import RETRIABLE
from mailops.outbox.models import Event, EventKind, Message, QueueEntry, Status
from mailops.outbox.recording import Outcome, Recorded, record, record_with_retry
from mailops.suppressions.models import Suppression

CHUNK = 500

# of a message: somebody or something says that its recipient must not be written to
IS_SUPPRESSED = Exists(Suppression.objects.covering(OuterRef("address_key"), OuterRef("stream")))
_ENDED = Q(status__in=RETRIABLE)
_FORGOTTEN = _ENDED & Q(stream__is_sensitive=True)
_ASKS = Q(status=Status.HELD, settling_fence__isnull=False)
_BY_PROOF = (  # what certainly did not arrive first
    Status.FAILED, Status.BOUNCED, Status.EXPIRED, Status.CANCELED, Status.UNCERTAIN,
)  # fmt: skip
_CAN_BE_MADE = (_ENDED & ~_FORGOTTEN) | _ASKS


class NothingToRetry(Exception):
    """None of the chosen messages can be sent again; the text says why."""


class MoreThanCounted(Exception):
    """More messages stand as they stood than the person saw counted."""


@dataclass(frozen=True)
class Plan:
    """What a retry would do, before anything happens."""

    does: int
    suppressed: int = 0  # left out, as all below
    forgotten: int = 0


def plan_retry(messages: QuerySet[Message]) -> Plan:
    """Return what would become of `messages`, were they retried now."""
    return Plan(
        **messages.annotate(is_suppressed=IS_SUPPRESSED).aggregate(
            does=Count("pk", filter=_CAN_BE_MADE & Q(is_suppressed=False)),
            suppressed=Count("pk", filter=_CAN_BE_MADE & Q(is_suppressed=True)),
            forgotten=Count("pk", filter=_FORGOTTEN),
        )
    )


def retriable(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Return those of `messages` that may be sent again.

    Who is suppressed gets nothing; once they are closed, a sensitive stream keeps no content to send.
    """
    return messages.filter(_CAN_BE_MADE).exclude(IS_SUPPRESSED)


def can_be_retried(message: Message) -> bool:
    """Tell whether it may be sent again now."""
    return retriable(Message.objects.filter(pk=message.pk)).exists()


def status_to_begin_with(campaign: Campaign) -> Status:
    """Return a status of which the campaign has messages that may be sent again, or else some at all."""
    found = Message.objects.filter(campaign=campaign)
    for chosen in (retriable(found), found):
        for status in _BY_PROOF:
            if chosen.filter(status=status).exists():
                return status
    return _BY_PROOF[0]


def unchanged_since(messages: QuerySet[Message], moment: datetime) -> QuerySet[Message]:
    """Keep those that stood at `moment` as they stand now: a new doubt, too, is a change."""
    changes = Event.objects.filter(message=OuterRef("pk"), recorded_at__gt=moment, was_applied=True)
    return messages.filter(~Exists(changes))


def retry_campaign(
    *, campaign: Campaign, messages: QuerySet[Message], actor: User, most: int | None = None
) -> int:
    """Queue exactly `messages` of the campaign again and let it run; return how many were queued.

    Raise NothingToRetry if there is none, MoreThanCounted if there are more than `most`.
    """
    with transaction.atomic():
        locked = Campaign.objects.select_for_update().get(pk=campaign.pk)
        # chosen under the lock, so that a press beside this one is seen
        chosen = _standings(retriable(messages.filter(campaign=campaign)))
        if most is not None and len(chosen) > most:
            raise MoreThanCounted
        before = locked.state
        if locked.state == Campaign.State.CANCELED and _owes(locked):
            raise NothingToRetry(
                "The campaign is still being canceled, and what is not yet would leave, too. Try again in a minute."
            )
        if locked.state in Campaign.OVER:
            _stop_expansion_of(locked)
            locked.state, locked.finished_at = Campaign.State.RUNNING, None
            locked.save()
        queued = sum(
            _applied(record(_requeued(*one, actor) for one in chosen[start : start + CHUNK]))
            for start in range(0, len(chosen), CHUNK)
        )
        if not queued:
            raise NothingToRetry(
                "Nothing is queued: all that you saw is on its way, has arrived or changed meanwhile."
            )
        audit(
            actor=actor,
            verb="campaign.retry",
            subject=locked,
            before={"state": before},
            after={"state": locked.state, "messages": queued},
        )
    return queued


def _owes(campaign: Campaign) -> bool:
    """Tell whether messages of it may leave once it runs: all that are open but those that ask a person."""
    asking = Q(is_held=True, message__settling_fence__isnull=False)
    return QueueEntry.objects.filter(campaign=campaign).exclude(asking).exists()


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
    if not can_be_retried(message):
        return False
    doubt = message.settling_fence if message.is_doubtful else None
    done = bool(_applied(record_with_retry([_requeued(message.pk, message.round, doubt, actor)])))
    if done:
        audit(actor=actor, verb="message.retry", subject=message)
    return done


def _standings(messages: QuerySet[Message]) -> list[tuple[int, int, int | None]]:
    """Return id, round and, where it is in doubt, the doubt's fence of each, in the order in which all lock them."""
    doubt = Case(When(status__in=[Status.UNCERTAIN, Status.HELD], then=F("settling_fence")))
    return list(messages.annotate(doubt=doubt).order_by("pk").values_list("pk", "round", "doubt"))


def _requeued(message_id: int, number: int, doubt: int | None, actor: User) -> Outcome:
    return Outcome(
        message_id=message_id,
        kind=EventKind.REQUEUED,
        source="person",
        external_id=f"{message_id}:{number}:requeued",
        fence=doubt,
        data={"by": actor.email},
    )


def _applied(recorded: list[Recorded]) -> int:
    return sum(one.was_applied for one in recorded)
