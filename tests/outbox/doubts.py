"""Messages in doubt, made the way they come about: claimed, marked, and never answered."""

from uuid import uuid4

from django.db.models.functions import Now
from django.utils import timezone

from mailops.outbox.ledger import draw_fence
from mailops.outbox.models import EventKind, QueueEntry, RelayLog, RelayLogFinding, Settlement
from mailops.outbox.recording import Outcome, record
from tests.factories import make_message, make_stream, make_transport


def make_doubtful(*, guarantee="leave", reason="no_final_reply", **fields):
    """Make a message whose content was sent and whose reply never came."""
    transport = fields.pop("transport", None) or make_transport()
    stream = fields.pop("stream", None) or make_stream(transport=transport, guarantee=guarantee)
    message = make_message(stream=stream, **fields)
    doubt(message, transport, reason=reason)
    return message


def doubt(message, transport, *, reason="no_final_reply"):
    """Lose the reply to a queued message."""
    fence = draw_fence()
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


def make_settlement(**fields):
    """Make an act on many that is over."""
    now = timezone.now()
    return Settlement.objects.create(
        **{
            "key": uuid4(), "act": Settlement.Act.ACCEPT, "until": now, "fence_until": 2**62, "planned": 3,
            "settled": 2, "passed_over": 1, "state": Settlement.State.COMPLETED, "finished_at": now, **fields,
        }
    )  # fmt: skip


def make_relay_log(message, **fields):
    """Make a log that is read, and knows of a message that it was sent on."""
    now = timezone.now()
    log = RelayLog.objects.create(
        **{
            "file_name": "mail.log", "size": 2000, "transport": message.transport, "time_zone": "UTC",
            "state": RelayLog.State.COMPLETED, "lines": 7, "not_understood": 1, "examples": [[3, "<b>what?</b>"]],
            "mails": 2, "ours": 1, "first_at": now, "last_at": now, **fields,
        }
    )  # fmt: skip
    RelayLogFinding.objects.create(
        log=log, message=message, settling_fence=message.settling_fence, at=now, queue_id="4B2HlS1wqCz9tNV",
        verdict=RelayLogFinding.Verdict.SENT, relay="mx.example.net[192.0.2.9]:25", text="250 2.0.0 Ok",
    )  # fmt: skip
    return log
