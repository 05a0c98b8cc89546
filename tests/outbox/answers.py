"""Messages that servers answered, told as dispatch tells it."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from django.utils import timezone

from mailops.accounts.models import User
from mailops.outbox.ledger import draw_fence
from mailops.outbox.models import EventKind, Message, QueueEntry, Resending
from mailops.outbox.recording import Outcome, Recorded, record
from mailops.outbox.sightings import fold_sightings
from mailops.protocol.classification import classify
from mailops.protocol.reply import Reply
from tests.factories import make_message

NO_SUCH = Reply(550, "5.1.1 No such user", "5.1.1", "RCPT")
BUSY = Reply(451, "4.3.2 Come back in 17 seconds", "4.3.2", "RCPT")
ODD = Reply(554, "5.0.0 The moon is full", "5.0.0", "RCPT")
OK = Reply(250, "2.0.0 queued", "2.0.0", "DATA")


def answer(
    message: Message,
    reply: Reply,
    kind: EventKind = EventKind.BOUNCED,
    *,
    at: datetime | None = None,
    **given: Any,
) -> Recorded:
    """Record what a server answered to a claimed message."""
    fence = draw_fence()
    QueueEntry.objects.filter(message=message).update(fence=fence, worker_id=0)
    message.refresh_from_db()
    meaning = classify(reply, "rcpt")
    details = (
        {}
        if reply.is_positive
        else {"reason": meaning.reason, "fault": meaning.fault, "sentence": meaning.sentence}
    )
    (recorded,) = record(
        [
            Outcome(
                **{
                    "message_id": message.pk,
                    "kind": kind,
                    "source": "dispatch",
                    "external_id": f"{fence}:reply",
                    "occurred_at": at,
                    "fence": fence,
                    "round": message.round,
                    "reply": reply,
                    "transport_id": message.transport_id or 1,
                    "data": {"phase": "rcpt"},
                    **details,
                    **given,
                }
            )
        ]
    )
    return recorded


def make_refused(reply: Reply = NO_SUCH, **fields: Any) -> Message:
    """Make a message that a server refused for good, its signature counted."""
    message = make_message(**fields)
    answer(message, reply)
    fold_sightings()
    message.refresh_from_db()
    return message


def make_resending(message: Message, actor: User | None = None) -> Resending:
    """Make the wish to send again all that got the reply of `message`."""
    return Resending.objects.create(
        key=uuid4(),
        chosen={"signature": str(message.signature_id)},
        until=timezone.now(),
        planned=1,
        created_by=actor,
    )
