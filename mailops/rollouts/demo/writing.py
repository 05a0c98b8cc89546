"""The demo's two templates, each with two versions, the first published two weeks ago."""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import connection

from mailops.accounts.auditing import audit
from mailops.accounts.models import AuditEntry, User
from mailops.content.checking import look_over
from mailops.content.drafting import create_template
from mailops.content.models import MailTemplate, TemplateVersion, hash_sources

MAILS = Path(__file__).parent / "mails"
ADDED = re.compile(r"[ ]*<!-- since 2 -->(.*?)<!-- /since 2 -->\n?", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Mail:
    name: str
    description: str
    file: str
    subjects: tuple[str, str]
    sample: dict[str, Any]
    days_ago: tuple[int, int]


LETTER = Mail(
    name="Monthly letter",
    description="What is new in the shop, once a month, to everyone who asked for it.",
    file="letter.html",
    subjects=("The Acme letter", "{{ first_name | default: 'Hello' }}, what is new at Acme"),
    sample={
        "first_name": "Ada",
        "city": "Lisbon",
        "plan": "pro",
        "interests": "tools,paper,light",
    },
    days_ago=(14, 5),
)
ORDER = Mail(
    name="Order shipped",
    description="Sent when an order leaves the house; one person waits for it.",
    file="order.html",
    subjects=("Your order is on its way", "Your order {{ order_number }} is on its way"),
    sample={
        "first_name": "Ada",
        "order_number": "A-10482",
        "items": [
            {"count": 2, "name": "Bench plane, no. 4", "price": "148.00"},
            {"count": 1, "name": "Linseed oil, half a liter", "price": "11.50"},
        ],
        "total": "159.50",
    },
    days_ago=(15, 9),
)


def write_mail(mail: Mail, *, actor: User, now: datetime) -> list[TemplateVersion]:
    """Make the template with its two versions; return them, the older first."""
    source = (MAILS / mail.file).read_text()
    htmls = (ADDED.sub("", source), ADDED.sub(r"\1", source))
    template = create_template(
        actor=actor,
        name=mail.name,
        description=mail.description,
        draft_subject=mail.subjects[1],
        draft_html=htmls[1],
        sample=mail.sample,
    )
    made_at = now - timedelta(days=mail.days_ago[0], hours=2)
    MailTemplate.objects.filter(pk=template.pk).update(created_at=made_at)
    made = AuditEntry.objects.filter(verb="template.create", subject_id=str(template.pk))
    made.update(at=made_at)
    notes = ("First version.", "With what each reader cares about.")
    return [
        _publish_back_then(
            template,
            number=number,
            subject=subject,
            html=html,
            note=note,
            at=now - timedelta(days=days),
            actor=actor,
        )
        for number, (subject, html, note, days) in enumerate(
            zip(mail.subjects, htmls, notes, mail.days_ago, strict=True), 1
        )
    ]


def _publish_back_then(
    template: MailTemplate,
    *,
    number: int,
    subject: str,
    html: str,
    note: str,
    at: datetime,
    actor: User,
) -> TemplateVersion:
    """Publish a version as of `at`; what is published never changes, so its time is right from the start."""
    look = look_over(subject=subject, html=html, text="", sample=template.sample)
    assert not look.errors, look.errors
    content_hash = hash_sources(subject, html, "")
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO content_templateversion (template_id, number, subject, html, source, text, sample, variables,
                   content_hash, note, published_by_id, published_at)
            VALUES (%s, %s, %s, %s, %s, '', %s, %s, %s, %s, %s, %s) RETURNING id
            """,
            [
                template.pk,
                number,
                subject,
                look.compiled,
                html,
                json.dumps(template.sample),
                json.dumps(look.variables),
                content_hash,
                note,
                actor.pk,
                at,
            ],
        )
        (version_id,) = cursor.fetchone()
    entry = audit(
        actor=actor,
        verb="template.publish",
        subject=template,
        after={"version": number, "hash": content_hash},
        reason=note,
    )
    AuditEntry.objects.filter(pk=entry.pk).update(at=at)
    return TemplateVersion.objects.select_related("template").get(pk=version_id)
