"""Makes rows for tests, each valid and small; keyword arguments override."""

import zlib
from datetime import timedelta
from itertools import count
from typing import Any

from django.utils import timezone

from mailops.audiences.models import Audience, Contact, Membership
from mailops.campaigns.models import Campaign
from mailops.content.models import MailTemplate, TemplateVersion
from mailops.domains.models import Domain, Identity
from mailops.outbox.models import Message, QueueEntry
from mailops.sandbox.models import CapturedMessage, Inbox
from mailops.transports.models import Route, Stream, Transport

_numbers = count(1)


def make_domain(**fields: Any) -> Domain:
    return Domain.objects.create(**{"name": f"d{next(_numbers)}.example", **fields})


def make_identity(**fields: Any) -> Identity:
    return Identity.objects.create(
        **{
            "name": "Ada",
            "local_part": "news",
            "domain": fields.pop("domain", None) or make_domain(),
            **fields,
        }
    )


def make_transport(**fields: Any) -> Transport:
    return Transport.objects.create(
        **{
            "name": f"Transport {next(_numbers)}",
            "host": "127.0.0.1",
            "port": 2525,
            "security": "none",
            **fields,
        }
    )


def make_stream(**fields: Any) -> Stream:
    transport = fields.pop("transport", None) or make_transport()
    stream = Stream.objects.create(
        **{
            "name": f"Stream {next(_numbers)}",
            "domain": fields.pop("domain", None) or make_domain(),
            "backoff_seconds": [60, 300],
            **fields,
        }
    )
    Route.objects.create(stream=stream, transport=transport)
    return stream


def make_version(**fields: Any) -> TemplateVersion:
    template = fields.pop("template", None) or MailTemplate.objects.create(
        name=f"Template {next(_numbers)}"
    )
    return TemplateVersion.objects.create(
        **{
            "template": template,
            "number": 1,
            "subject": "Hello {{ first_name }}",
            "html": "<p>Hello {{ first_name }}</p>",
            "text": "Hello {{ first_name }}",
            "variables": ["first_name"],
            "content_hash": f"{next(_numbers):064d}",
            **fields,
        }
    )


def make_audience(*addresses: str, **fields: Any) -> Audience:
    audience = Audience.objects.create(**{"name": f"Audience {next(_numbers)}", **fields})
    for address in addresses:
        contact, _ = Contact.objects.get_or_create(
            address_key=address.lower(), defaults={"address": address}
        )
        Membership.objects.create(audience=audience, contact=contact)
    return audience


def make_campaign(**fields: Any) -> Campaign:
    stream = fields.pop("stream", None) or make_stream()
    return Campaign.objects.create(
        **{
            "name": f"Campaign {next(_numbers)}",
            "stream": stream,
            "identity": fields.pop("identity", None) or make_identity(domain=stream.domain),
            "version": fields.pop("version", None) or make_version(),
            "audience": fields.pop("audience", None) or make_audience(),
            **fields,
        }
    )


def make_message(*, with_entry: bool = True, **fields: Any) -> Message:
    """Make a message, queued and due unless told otherwise."""
    stream = fields.pop("stream", None) or make_stream()
    recipient = fields.pop("recipient", f"r{next(_numbers)}@example.net")
    message = Message.objects.create(
        **{
            "recipient": recipient,
            "address_key": recipient.lower(),
            "stream": stream,
            "identity": fields.pop("identity", None) or make_identity(domain=stream.domain),
            "version": fields.pop("version", None) or make_version(),
            "token_key_id": "test",
            **fields,
        }
    )
    message.refresh_from_db()
    if with_entry and message.is_open:
        now = timezone.now()
        QueueEntry.objects.create(
            message=message,
            lane=stream.kind,
            stream=stream,
            campaign=message.campaign,
            address_key=message.address_key,
            due_at=now,
            expires_at=now + timedelta(hours=72),
        )
    return message


def make_captured(content: bytes = b"", **fields: Any) -> CapturedMessage:
    """Make a captured message of `content`, in an inbox of its recipient's domain."""
    recipient = fields.pop("recipient", f"r{next(_numbers)}@example.net")
    inbox = fields.pop("inbox", None)
    if inbox is None:
        inbox, _ = Inbox.objects.get_or_create(kind="domain", name=recipient.partition("@")[2])
    return CapturedMessage.objects.create(
        **{
            "inbox": inbox,
            "recipient": recipient,
            "session": "test-1",
            "behavior": "accept",
            "envelope_sender": "b+1@bounces.mailops.localhost",
            "subject": "Hello",
            "header_from": "Ada <ada@news.example>",
            "message_id": f"<{next(_numbers)}@news.example>",
            "size": len(content),
            "packed": zlib.compress(content),
            **fields,
        }
    )
