"""A person's word on single messages: hold, release, and what an uncertain one is to count as."""

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.outbox.models import Event, EventKind, Message
from mailops.outbox.recording import Outcome, Recorded
from mailops.outbox.telling import record_and_tell


def hold(*, message: Message, actor: User) -> bool:
    """Keep an open message back until a person releases it; False once a body may be on its way (W13)."""
    return _tell(
        message, EventKind.HELD, "message.hold", actor, "A person holds this message back."
    )


def release(*, message: Message, actor: User) -> bool:
    """Let a held message go; False for one whose fate is unknown, which is settled or sent again instead."""
    return _tell(message, EventKind.RELEASED, "message.release", actor)


def settle_as_accepted(*, message: Message, actor: User) -> bool:
    """Count an uncertain message as accepted; later evidence still wins."""
    return _tell(
        message,
        EventKind.SETTLED,
        "message.settle",
        actor,
        "A person decided that this message counts as accepted.",
    )


def _tell(message: Message, kind: EventKind, verb: str, actor: User, sentence: str = "") -> bool:
    # A double press finds the first one's event: the number is that of the message's history as it was seen.
    seen = Event.objects.filter(message=message).count()
    outcome = Outcome(
        message_id=message.pk,
        kind=kind,
        source="person",
        external_id=f"{message.pk}:{seen}:{kind}",
        sentence=sentence,
        data={"by": actor.email},
    )

    def tell(recorded: Recorded) -> None:
        before, after = {"status": recorded.status_before}, {"status": recorded.status_after}
        audit(actor=actor, verb=verb, subject=message, before=before, after=after)

    return record_and_tell(outcome, tell).was_applied
