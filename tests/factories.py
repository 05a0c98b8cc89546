"""Makes rows for tests, each valid and small; keyword arguments override."""

import zlib
from datetime import timedelta
from itertools import count
from typing import Any

from django.db.models import Func, Value
from django.utils import timezone

from mailops.audiences.models import Audience, Contact, Membership
from mailops.campaigns.models import Campaign
from mailops.content.models import MailTemplate, TemplateVersion
from mailops.domains.models import Domain, Identity
from mailops.incidents.models import Incident, NotificationChannel, Threshold
from mailops.outbox.models import Message, QueueEntry
from mailops.sandbox.models import CapturedMessage, Inbox
from mailops.suppressions.models import Suppression, SuppressionImport
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
            "token_key_id": "k1",
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
            mailbox_provider=message.mailbox_provider,
            pool=Func(Value(message.mailbox_provider), function="outbox_pool"),
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


def make_incident(**fields: Any) -> Incident:
    """Make an open incident of a stream, with evidence of every kind."""
    stream = fields.pop("stream", None) or make_stream()
    at = timezone.now().isoformat()
    told = {"bad": 6, "whole": 100, "percent": 6.0, "since": at}
    return Incident.objects.create(
        **{
            "threshold": Threshold.objects.get(measure="bounces", subject_kind="stream"),
            "subject_kind": "stream",
            "subject_id": stream.pk,
            "subject_label": str(stream),
            "level": "act",
            "sentence": "6.0 % (6 of 100) of the mail bounced.",
            "evidence": {
                "numbers": {**told, "before": told},
                "replies": [{"code": 550, "text": "5.1.1 no", "sentence": "No mailbox.", "n": 6}],
                "campaigns": [{"id": None, "name": "single messages", "n": 6}],
                "providers": [{"name": "example.net", "n": 6}],
                "changes": [{"at": at, "what": "stream.change", "of": str(stream), "who": "Ada"}],
            },
            **fields,
        }
    )


def make_channel(**fields: Any) -> NotificationChannel:
    return NotificationChannel.objects.create(
        **{
            "name": f"Channel {next(_numbers)}",
            "kind": "webhook",
            "host": "hooks.example.com",
            **fields,
        }
    )


def make_suppression(**fields: Any) -> Suppression:
    address = fields.pop("address", f"gone{next(_numbers)}@example.net")
    return Suppression.objects.create(
        **{"address": address, "address_key": address.lower(), "reason": "unsubscribe", **fields}
    )


def make_suppression_import(**fields: Any) -> SuppressionImport:
    """Make an import whose one row was rejected."""
    run = SuppressionImport.objects.create(
        **{
            "file_name": "list.csv",
            "reason": "imported",
            "state": "completed",
            "numbers": {"rejected": 1},
            **fields,
        }
    )
    run.rows.create(line=1, address="nobody", outcome="rejected", why="The address has no @.")
    return run
