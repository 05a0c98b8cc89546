"""Messages in doubt, made the way they come about: claimed, marked, and never answered."""

from itertools import count

from django.db.models.functions import Now

from mailops.outbox.models import EventKind, QueueEntry
from mailops.outbox.recording import Outcome, record
from tests.factories import make_message, make_stream, make_transport

_fences = count(1_000)


def make_doubtful(*, guarantee="leave", reason="no_final_reply", **fields):
    """Make a message whose content was sent and whose reply never came."""
    transport = fields.pop("transport", None) or make_transport()
    stream = fields.pop("stream", None) or make_stream(transport=transport, guarantee=guarantee)
    message = make_message(stream=stream, **fields)
    doubt(message, transport, reason=reason)
    return message


def doubt(message, transport, *, reason="no_final_reply"):
    """Lose the reply to a queued message."""
    fence = next(_fences)
    QueueEntry.objects.filter(pk=message.pk).update(worker_id=1, fence=fence, marked_at=Now())
    record(
        [
            Outcome(
                message_id=message.pk,
                kind=EventKind.UNCERTAIN,
                source="dispatch",
                external_id=f"{fence}:uncertain",
                fence=fence,
                transport_id=transport.pk,
                reason=reason,
                sentence="The connection broke after the content was sent.",
                data={"phase": "body", "peer": "192.0.2.1:25", "detail": "reset by peer"},
            )
        ]
    )
    message.refresh_from_db()
