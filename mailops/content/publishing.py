"""Saves drafts, publishes them as versions that never change, and brings versions back."""

from typing import Any

from django.db import transaction
from django.db.models import F, Max
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.content.checking import look_over
from mailops.content.models import MailTemplate, TemplateVersion, hash_sources
from mailops.content.rendering import RenderError


class DraftConflict(Exception):
    """Somebody else saved the draft since this person began; nothing was written."""


class NothingToPublish(Exception):
    """The draft says exactly what the newest version says."""


def create_template(*, actor: User | None, name: str, **fields: Any) -> MailTemplate:
    with transaction.atomic():
        template = MailTemplate.objects.create(name=name, draft_changed_by=actor, **fields)
        audit(actor=actor, verb="template.create", subject=template, after={"name": name})
    return template


def save_draft(
    *,
    template: MailTemplate,
    revision: int,
    actor: User | None,
    subject: str,
    html: str,
    text: str,
    sample: dict[str, Any],
) -> None:
    """Write the draft if it still is at `revision`; raises `DraftConflict`."""
    with transaction.atomic():
        written = MailTemplate.objects.filter(pk=template.pk, draft_revision=revision).update(
            draft_subject=subject,
            draft_html=html,
            draft_text=text,
            sample=sample,
            draft_hash=hash_sources(subject, html, text),
            draft_revision=F("draft_revision") + 1,
            draft_changed_by=actor,
            draft_changed_at=Now(),
        )
        if not written:
            raise DraftConflict
        audit(
            actor=actor,
            verb="template.save_draft",
            subject=template,
            before={"revision": revision, "hash": template.draft_hash},
            after={"revision": revision + 1, "hash": hash_sources(subject, html, text)},
        )
    template.refresh_from_db()


def publish(template: MailTemplate, actor: User | None, note: str = "") -> TemplateVersion:
    """Make the draft the next version; raises `RenderError` or `NothingToPublish`."""
    with transaction.atomic():
        draft = MailTemplate.objects.select_for_update().get(pk=template.pk)
        sources = _sources(draft)
        look = look_over(**sources, sample=draft.sample)
        if look.errors:
            first = look.errors[0]
            raise RenderError(first.sentence, first.line, first.part)
        latest = draft.latest_version
        if latest and latest.content_hash == hash_sources(**sources):
            raise NothingToPublish
        number = (draft.versions.aggregate(last=Max("number"))["last"] or 0) + 1
        version = TemplateVersion.objects.create(
            template=draft,
            number=number,
            **sources,
            sample=draft.sample,
            variables=look.variables,
            content_hash=hash_sources(**sources),
            note=note,
            published_by=actor,
        )
        audit(
            actor=actor,
            verb="template.publish",
            subject=draft,
            before={"version": latest.number if latest else None},
            after={"version": number, "hash": version.content_hash},
            reason=note,
        )
    return version


def restore(*, version: TemplateVersion, actor: User | None) -> MailTemplate:
    """Make `version` the draft again; a draft that was never published stays in the audit trail."""
    with transaction.atomic():
        template = MailTemplate.objects.select_for_update().get(pk=version.template_id)
        before: dict[str, Any] = {"hash": template.draft_hash}
        if not template.versions.filter(content_hash=template.draft_hash).exists():
            before |= _sources(template)
        template.draft_subject, template.draft_html = version.subject, version.html
        template.draft_text, template.sample = version.text, version.sample
        template.draft_revision += 1
        template.draft_changed_by = actor
        template.save()
        audit(
            actor=actor,
            verb="template.restore",
            subject=template,
            before=before,
            after={"version": version.number, "hash": version.content_hash},
        )
    return template


def archive(*, template: MailTemplate, actor: User | None) -> None:
    """Take the template out of the lists; its versions stay, and what is sent with them goes on."""
    _set_archived(template, actor, is_archived=True)


def unarchive(*, template: MailTemplate, actor: User | None) -> None:
    _set_archived(template, actor, is_archived=False)


def _set_archived(template: MailTemplate, actor: User | None, *, is_archived: bool) -> None:
    with transaction.atomic():
        changed = MailTemplate.objects.filter(
            pk=template.pk, archived_at__isnull=is_archived
        ).update(archived_at=Now() if is_archived else None)
        if changed:
            audit(
                actor=actor,
                verb="template.archive" if is_archived else "template.unarchive",
                subject=template,
                before={"is_archived": not is_archived},
                after={"is_archived": is_archived},
            )


def _sources(template: MailTemplate) -> dict[str, str]:
    return {
        "subject": template.draft_subject,
        "html": template.draft_html,
        "text": template.draft_text,
    }
