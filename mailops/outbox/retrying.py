"""Sends again what did not get through, as a person's recorded act."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, When

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.campaigns.fitting import MISFIT, misfits
from mailops.campaigns.models import Campaign
from mailops.outbox.canceling import close_audience
from mailops.outbox.fold import RETRIABLE
from mailops.outbox.models import (
    ASKS_A_PERSON,
    IS_ASKED,
    Event,
    EventKind,
    Message,
    QueueEntry,
    Resending,
    Status,
)
from mailops.outbox.recording import Outcome, Recorded, record
from mailops.outbox.telling import record_and_tell
from mailops.suppressions.models import Suppression
from mailops.transports.models import Stream

CHUNK = 500  # messages that one transaction queues again at most

# of a message: somebody or something says that its recipient must not be written to
IS_SUPPRESSED = Exists(Suppression.objects.covering(OuterRef("address_key"), OuterRef("stream")))
# of a message: its campaign is completed and stays so, since it fits its stream no more
IS_UNFIT = Q(
    campaign__isnull=False,
    campaign__in=Campaign.objects.filter(MISFIT, state=Campaign.State.COMPLETED),
)
# of a message: its campaign is canceled
IS_CANCELED = Q(campaign__isnull=False, campaign__state=Campaign.State.CANCELED)
# of a message: once it is queued it waits, for its campaign or its stream is paused
IS_WAITING = Q(campaign__isnull=False, campaign__state=Campaign.State.PAUSED) | Q(
    stream__state="paused"
)
_ENDED = Q(status__in=RETRIABLE)
_FORGOTTEN = _ENDED & Q(stream__is_sensitive=True)
_BY_PROOF = (  # what certainly did not arrive first
    Status.FAILED, Status.BOUNCED, Status.EXPIRED, Status.CANCELED, Status.UNCERTAIN, Status.HELD,
)  # fmt: skip
_CAN_BE_MADE = (_ENDED & ~_FORGOTTEN) | IS_ASKED


class NothingToRetry(Exception):
    """None of the chosen messages can be sent again; the text says why."""

    def __init__(
        self,
        why: str = "Nothing is queued: all that you saw is on its way, has arrived or changed meanwhile.",
    ) -> None:
        super().__init__(why)


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
    """Return a status of which the campaign has messages that may be sent again, or else some that ended so or ask."""
    found = Message.objects.filter(campaign=campaign)
    for chosen in (retriable(found), found.filter(_ENDED | IS_ASKED)):
        for status in _BY_PROOF:
            if chosen.filter(status=status).exists():
                return status
    return _BY_PROOF[0]


def unchanged_since(messages: QuerySet[Message], moment: datetime) -> QuerySet[Message]:
    """Keep those that stood at `moment` as they stand now: a new doubt, too, is a change."""
    changes = Event.objects.filter(message=OuterRef("pk"), recorded_at__gt=moment, was_applied=True)
    return messages.filter(~Exists(changes))


def retry_campaign(
    *, campaign: Campaign, messages: QuerySet[Message], actor: User, most: int = CHUNK
) -> int:
    """Queue exactly `messages` of the campaign again and let it run; return how many were queued.

    It is one transaction: what is more than a chunk goes to `outbox.resending.start_retry`. Raise NothingToRetry if
    there is none, MoreThanCounted if there are more than `most`.
    """
    with transaction.atomic():
        locked = lock_campaign(campaign.pk)
        # chosen under the lock, so that a press beside this one is seen
        chosen = _standings(messages.filter(campaign=campaign))[: most + 1]
        if len(chosen) > most:
            raise MoreThanCounted
        before = reopen(locked)
        queued = _queue(chosen, by=actor.email)
        if not queued:
            raise NothingToRetry
        note_retry(locked, before=before, messages=queued, actor=actor)
    return queued


def lock_campaign(campaign_id: int) -> Campaign:
    """Lock the campaign, which comes before its messages in the order of locks (W6)."""
    return Campaign.objects.select_for_update().get(pk=campaign_id)


def lock_sendable(campaign_ids: Iterable[int]) -> dict[int, str]:
    """Lock the campaigns, which come before messages in the order of locks (W6); id → state of those that may run.

    A canceled one stays so, and a completed one that fits its stream no more.
    """
    found = Campaign.objects.filter(pk__in=set(campaign_ids))
    list(found.order_by("pk").select_for_update().values_list("pk"))
    streams = Stream.objects.filter(campaigns__in=found.filter(state=Campaign.State.COMPLETED))
    list(streams.order_by("pk").select_for_update(of=("self",), no_key=True).values_list("pk"))
    # looked at in a new statement, once they are locked
    kept = found.exclude(state=Campaign.State.CANCELED)
    kept = kept.exclude(MISFIT, state=Campaign.State.COMPLETED)
    return dict(kept.values_list("pk", "state"))


def reopen(campaign: Campaign) -> str:
    """Let a locked campaign run again where it is over, its audience closed; return the state it had.

    Raise NothingToRetry where it must not run.
    """
    before = campaign.state
    if before not in Campaign.OVER:
        return before
    if campaign.is_canceled and _is_being_canceled(campaign):
        raise NothingToRetry(
            "The campaign is still being canceled, and what is not yet would leave, too. Try again in a minute."
        )
    if wrong := misfits(_kept(campaign.stream), campaign.identity):
        raise NothingToRetry(
            "Nothing is queued: the campaign is over, and its stream was changed since. "
            f"{' '.join(wrong.values())} Change the stream back to send these again."
        )
    if campaign.is_canceled:
        close_audience(campaign)  # one that an older version canceled
    campaign.state, campaign.finished_at = Campaign.State.RUNNING, None
    campaign.save()
    return before


def _kept(stream: Stream) -> Stream:
    """Return the stream as it is, and keep it so until the transaction ends: its form looks for campaigns that run."""
    return Stream.objects.select_for_update(no_key=True).get(pk=stream.pk)


def _is_being_canceled(campaign: Campaign) -> bool:
    """Tell whether messages of it would leave, once it runs, that nobody chose: open ones, or those of a retry."""
    return _owes(campaign) or Resending.objects.retrying(campaign).exists()


def queue_again(messages: QuerySet[Message], *, by: str, **told: int) -> int:
    """Queue those of `messages`, of a locked campaign, that may be sent again; return how many were queued.

    `told` goes into their events.
    """
    return _queue(_standings(messages), by=by, **told)


def _queue(standings: Iterable[tuple[int, int, int | None]], *, by: str, **told: int) -> int:
    return _applied(record(_requeued(*one, by, **told) for one in standings))


def note_retry(campaign: Campaign, *, before: str, messages: int, actor: User | None) -> None:
    """Put on the audit trail that so many messages of the campaign are sent again."""
    audit(
        actor=actor,
        verb="campaign.retry",
        subject=campaign,
        before={"state": before},
        after={"state": campaign.state, "messages": messages},
    )


def note_reopened(
    states: Mapping[int, str], queued: Iterable[int | None], *, actor: User | None
) -> None:
    """Put on the audit trail which completed campaigns run again by messages that were queued.

    `states` are those that the locked campaigns had, `queued` has the campaign of each message.
    """
    messages = Counter(queued)
    over = [pk for pk, state in states.items() if state == Campaign.State.COMPLETED]
    for campaign in Campaign.objects.filter(pk__in=[pk for pk in over if messages[pk]]):
        before = Campaign.State.COMPLETED
        note_retry(campaign, before=before, messages=messages[campaign.pk], actor=actor)


def _owes(campaign: Campaign) -> bool:
    """Tell whether messages of it may leave once it runs: all that are open but those that ask a person."""
    return QueueEntry.objects.filter(campaign=campaign).exclude(ASKS_A_PERSON).exists()


def retry_message(*, message: Message, actor: User) -> bool:
    """Queue one message again, whatever campaign it is of; return False where it can't be.

    One that was in doubt is queued only out of that doubt: who may settle it may not send again what bounced meanwhile.
    """
    if message.campaign is not None:
        try:
            return bool(
                retry_campaign(
                    campaign=message.campaign,
                    messages=_as_read(message),
                    actor=actor,
                )
            )
        except NothingToRetry:
            return False
    if not retriable(_as_read(message)).exists():
        return False
    doubt = message.settling_fence if message.is_doubtful else None
    again = _requeued(message.pk, message.round, doubt, actor.email)
    told = record_and_tell(
        again, lambda _: audit(actor=actor, verb="message.retry", subject=message)
    )
    return told.was_applied


def _as_read(message: Message) -> QuerySet[Message]:
    """Return the message; none where it was in doubt and is in that one no more."""
    found = Message.objects.filter(pk=message.pk)
    if not message.is_doubtful:
        return found
    doubts = [Status.UNCERTAIN, Status.HELD]
    return found.filter(status__in=doubts, settling_fence=message.settling_fence)


def _standings(messages: QuerySet[Message]) -> "QuerySet[Message, tuple[int, int, int | None]]":
    """Return id, round and, where it is in doubt, the doubt's fence of each that may be sent again.

    They come in the order in which all lock them.
    """
    doubt = Case(When(status__in=[Status.UNCERTAIN, Status.HELD], then=F("settling_fence")))
    found = retriable(messages).annotate(doubt=doubt)
    return found.order_by("pk").values_list("pk", "round", "doubt")


def _requeued(message_id: int, number: int, doubt: int | None, by: str, **told: int) -> Outcome:
    return Outcome(
        message_id=message_id,
        kind=EventKind.REQUEUED,
        source="person",
        external_id=f"{message_id}:{number}:requeued",
        fence=doubt,
        data={"by": by, **told},
    )


def _applied(recorded: list[Recorded]) -> int:
    return sum(one.was_applied for one in recorded)
