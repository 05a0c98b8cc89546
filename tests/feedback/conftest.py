"""Messages that were sent, and the reports that come back about them."""

from datetime import UTC, datetime

import pytest

from mailops.feedback.archiving import archive
from mailops.feedback.models import RawFeedback
from mailops.feedback.processing import process_pending
from mailops.outbox import tokens
from mailops.outbox.models import Evidence, Status
from mailops.protocol import report_writing
from mailops.protocol.dsn import Action
from mailops.protocol.message_id import make_message_id
from tests.factories import make_message

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def sent(db):
    """A message that the next hop has taken."""
    return make_sent()


def make_sent(**fields):
    return make_message(
        with_entry=False,
        **{
            "recipient": "Bob@Example.net",
            "status": Status.ACCEPTED,
            "evidence": Evidence.ACCEPTED,
            **fields,
        },
    )


def sender_of(message):
    return tokens.envelope_sender(message.public_id, message.round, message.token_key_id)


def headers_of(message):
    message_id = make_message_id(message.public_id, message.identity.domain.name)
    return f"Message-ID: {message_id}\r\nTo: {message.recipient}\r\n\r\n".encode()


def report_on(message, **fields):
    """Return a real delivery status notification about `message`."""
    return report_writing.write_dsn(
        **{
            "recipient": message.recipient,
            "envelope_sender": sender_of(message),
            "reporting_mta": "mx.example.net",
            "action": Action.FAILED,
            "status": "5.1.1",
            "diagnostic": "550 5.1.1 No such mailbox",
            "original": headers_of(message),
            "now": NOW,
            **fields,
        }
    )


def complaint_about(message, **fields):
    return report_writing.write_complaint(
        **{
            "recipient": message.recipient,
            "envelope_sender": sender_of(message),
            "reporting_mta": "mx.example.net",
            "original": headers_of(message),
            "now": NOW,
            **fields,
        }
    )


def receive(content, *recipients):
    """Archive a mail and read it; return its row."""
    archive(
        source=RawFeedback.Source.MAIL,
        content=content,
        peer="test",
        envelope_recipients=list(recipients),
    )
    while process_pending():
        pass
    return RawFeedback.objects.latest("id")
