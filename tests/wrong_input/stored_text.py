"""Fills a database with all that a page may show, then writes one text into everything in it.

As if each check on the way in had a hole: what is shown must be text all the same.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db import DatabaseError, connection, models, transaction
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.audiences.models import Import
from mailops.campaigns.models import Campaign
from mailops.campaigns.preflight import start_preflight
from mailops.feedback.archiving import archive
from mailops.feedback.models import RawFeedback
from mailops.feedback.processing import process_pending
from mailops.incidents.models import Incident, IncidentNote, Notice, NotificationChannel
from mailops.outbox.models import EventKind, Message
from mailops.outbox.recording import Outcome, record
from mailops.protocol.reply import Reply
from mailops.rollouts.models import ChecklistItem, Override
from mailops.transports.diagnosis import run_test
from mailops.transports.models import Credential, PauseCause, Stream, Transport
from tests.factories import make_captured

# our own words, which no person and no peer can write and other code relies on
OURS = {
    "accounts.User.password",
    "accounts.User.time_zone",
    "accounts.AuditEntry.subject_type",
    "feedback.RawFeedback.sha256",
    "outbox.Message.token_key_id",
}


def furnish(text: str) -> None:
    """Give the rows there are what makes their pages full: replies, faults, notes, evidence."""
    for message in Message.objects.filter(settled_at=None):
        reply = Reply(550, f"5.1.1 {text}", "5.1.1", "RCPT")
        record(
            [
                Outcome(
                    message_id=message.pk,
                    kind=EventKind.BOUNCED,
                    source="smtp",
                    external_id=f"wrong-input-{message.pk}",
                    reply=reply,
                    reason="unknown_mailbox",
                    sentence=text,
                )
            ]
        )
    for transport in Transport.objects.all():
        Credential.objects.get_or_create(transport=transport, defaults={"label": text})
        run_test(transport)
        transport.pause(PauseCause.FAULT, text, text)
    for stream in Stream.objects.all():
        stream.pause(PauseCause.PERSON, text, text)
    for campaign in Campaign.objects.all():
        start_preflight(campaign=campaign, actor=None)
        campaign.preflights.update(
            state="completed",
            errors={text: {"members": 1, "examples": [text]}},
            missing={text: {"members": 1, "examples": [text]}},
        )
        Override.objects.create(
            campaign=campaign,
            stream=campaign.stream,
            actor_label=text,
            reason=text,
            objections=[text],
        )
        audit(actor=None, verb="campaign.change", subject=campaign, after={text: text}, reason=text)
    every_other = list(Campaign.objects.values_list("pk", flat=True)[::2])
    Campaign.objects.filter(pk__in=every_other).update(
        state="paused", pause_cause="fault", pause_sentence=text, paused_at=Now()
    )
    for incident in Incident.objects.all():
        IncidentNote.objects.create(incident=incident, text=text, author_label=text)
        for channel in NotificationChannel.objects.all():
            notice = Notice.objects.create(channel=channel, incident=incident, occasion="opened")
            notice.attempts.create(has_succeeded=False, result=text)
    for run in Import.objects.all():
        run.remarks.create(line=1, outcome="rejected", reason=text, cells=[text])
    ChecklistItem.objects.update(state="fails", sentence=text, fix=text)
    mail = f'Subject: {text}\r\nContent-Type: a/b; name="{text}"\r\n\r\n{text}'.encode()
    make_captured(mail)
    archive(source=RawFeedback.Source.MAIL, content=mail, peer=text, envelope_recipients=[text])
    process_pending()


def write_everywhere(text: str) -> set[str]:
    """Put `text` into every text of every row there is, as much as fits; return the fields by name."""
    written = set()
    with connection.cursor() as cursor:  # versions are immutable, by a trigger
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE content_templateversion DISABLE TRIGGER USER")
    for model in apps.get_models():
        if model.__module__.startswith("mailops.") and model._meta.managed:
            for field in model._meta.concrete_fields:
                if _holds_text(field):
                    written |= set(_write(model, field, text))
    return written


def _holds_text(field: Any) -> bool:
    is_text = isinstance(field, models.CharField | models.TextField | models.JSONField)
    return is_text and not field.choices and str(field) not in OURS


def _write(model: type[models.Model], field: Any, text: str) -> Iterator[str]:
    rows = model._default_manager
    for row in rows.all():
        value = _replaced(getattr(row, field.name), text)
        if isinstance(value, str):
            value = (value + (f" {row.pk}" if field.unique else ""))[: field.max_length]
        try:
            with transaction.atomic():
                rows.filter(pk=row.pk).update(**{field.name: value})
            yield str(field)
        except DatabaseError:  # a constraint keeps it out
            continue


def _replaced(value: Any, text: str) -> Any:
    """Return `value` with `text` for every string in it but times, which are ours."""
    if isinstance(value, dict):
        return {name: _replaced(inner, text) for name, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, text) for inner in value]
    return text if isinstance(value, str) and not _is_time(value) else value


def _is_time(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
