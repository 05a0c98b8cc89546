"""Makes templates and saves their drafts, without one person writing over another's words."""

from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import ChangedMeanwhile, expect
from mailops.accounts.models import User
from mailops.content.models import MailTemplate, Preview, Variant
from mailops.lib.storable import storable


class DraftConflict(Exception):
    """Somebody else saved the draft, or removed its language, since this person began; nothing was written."""


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
    language: str = "",
    page: str = "",
    seen: str = "",
) -> bool:
    """Write the draft, or its words in another `language`, if it still is at `revision`; raise DraftConflict.

    A draft that moved on is written all the same where nobody touched these words or the sample: they have the mark that was `seen`.
    Where it says exactly this already, as after a second press, nothing is written, whatever its revision: return False. What the actor typed is kept no more then, but for what they typed on another page of the editor than `page`.
    """
    words = {"draft_subject": subject, "draft_html": html, "draft_text": text}
    with transaction.atomic():
        draft = _locked(template)
        if not draft.speaks(language):
            raise DraftConflict
        is_changed = not _says(draft, language, words, sample)
        if is_changed:
            if draft.draft_revision != revision and draft.mark_of_words(language) != seen:
                raise DraftConflict
            _write(draft, actor, language, words, sample)
        template.refresh_from_db()
        if actor is not None:
            discard(template, actor, language, page=page)
    return is_changed


def _write(
    draft: MailTemplate,
    actor: User | None,
    language: str,
    words: dict[str, str],
    sample: dict[str, Any],
) -> None:
    before = {"revision": draft.draft_revision, "hash": draft.draft_hash}
    if language:
        draft.variants.filter(language=language).update(**words)
    else:
        draft.draft_subject = words["draft_subject"]
        draft.draft_html = words["draft_html"]
        draft.draft_text = words["draft_text"]
    draft.sample = sample
    draft.draft_revision += 1
    draft.draft_changed_by = actor
    changed = ["sample", "draft_revision", "draft_changed_by", "draft_changed_at"]
    draft.save(update_fields=[*words, *changed])
    audit(
        actor=actor,
        verb="template.save_draft",
        subject=draft,
        before=before,
        after={"revision": draft.draft_revision, "hash": draft.draft_hash, "language": language},
    )


def _says(
    template: MailTemplate, language: str, words: dict[str, str], sample: dict[str, Any]
) -> bool:
    """Tell whether exactly this is saved already."""
    saved = MailTemplate.objects.filter(pk=template.pk, sample=sample)
    if not language:
        return saved.filter(**words).exists()
    return saved.exists() and template.variants.filter(language=language, **words).exists()


def discard(template: MailTemplate, user: User, language: str, *, page: str = "") -> None:
    """Forget what `user` typed in `language` and did not save; what was typed in others stays.

    With a `page` of the editor, so does what was typed on another one.
    """
    with transaction.atomic():
        kept = Preview.objects.select_for_update().filter(template=template, user=user).first()
        if kept is not None and kept.typed is not None:
            of_page = kept.typed.get(storable(language), {}).get("page", "")
            if page and of_page and page != of_page:
                return
            kept.typed.pop(storable(language), None)
            kept.typed = kept.typed or None
            kept.save(update_fields=["typed", "changed_at"])


class HasLanguage(Exception):
    """The template speaks that language already."""


def add_language(
    *, template: MailTemplate, language: str, also_for: str, actor: User | None
) -> Variant:
    """Begin the draft's words in one more language with those it has; raise HasLanguage."""
    with transaction.atomic():
        draft = _locked(template)
        if language == draft.language or draft.variants.filter(language=language).exists():
            raise HasLanguage(f"It has words in {language} already.")
        variant = draft.variants.create(
            language=language,
            also_for=also_for,
            draft_subject=draft.draft_subject,
            draft_html=draft.draft_html,
            draft_text=draft.draft_text,
        )
        _note_languages(draft, actor, {"added": language, "also_for": also_for})
    return variant


def remove_language(*, template: MailTemplate, language: str, actor: User | None) -> bool:
    """Take the draft's words in `language` away; return whether there were any."""
    with transaction.atomic():
        draft = _locked(template)
        deleted, _ = draft.variants.filter(language=language).delete()
        if deleted:
            _note_languages(draft, actor, {"removed": language})
    return bool(deleted)


def _note_languages(draft: MailTemplate, actor: User | None, after: dict[str, str]) -> None:
    draft.draft_revision += 1
    draft.draft_changed_by = actor
    draft.save(update_fields=["draft_revision", "draft_changed_by", "draft_changed_at"])
    audit(actor=actor, verb="template.settings", subject=draft, after=after)


def change_settings(
    *,
    template: MailTemplate,
    changes: dict[str, Any],
    actor: User | None,
    seen: str | None = None,
    may_waive: bool = True,
) -> bool:
    """Write the fields in `changes`; return whether that changed anything.

    None of the draft's words is written, which somebody may be saving. Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now, and
    where a second person is asked for by now, which somebody who may not waive that saw switched off.
    """
    with transaction.atomic():
        draft = _locked(template)
        changes = {name: value for name, value in changes.items() if getattr(draft, name) != value}
        if not changes:
            return False
        is_waived = changes.get("needs_approval") is False
        if is_waived and not may_waive:
            raise ChangedMeanwhile
        was = draft.mark
        before = {field: str(getattr(draft, field) or "") for field in changes}
        for field, value in changes.items():
            setattr(draft, field, value)
        expect(seen, was=was, wanted=draft.mark)
        draft.save(update_fields=[*changes])
        audit(
            actor=actor,
            verb="template.waive_approval" if is_waived else "template.settings",
            subject=draft,
            before=before,
            after={field: str(value or "") for field, value in changes.items()},
        )
    return True


def _locked(template: MailTemplate) -> MailTemplate:
    """Hold the template, as it is now, until the transaction ends."""
    return MailTemplate.objects.select_for_update().get(pk=template.pk)


def archive(*, template: MailTemplate, actor: User | None) -> None:
    """Take the template out of the lists; its versions stay, and what is sent with them goes on."""
    _set_archived(template, actor, is_archived=True)


def unarchive(*, template: MailTemplate, actor: User | None) -> None:
    _set_archived(template, actor, is_archived=False)


def _set_archived(template: MailTemplate, actor: User | None, *, is_archived: bool) -> None:
    with transaction.atomic():
        found = MailTemplate.objects.written().filter(
            pk=template.pk, archived_at__isnull=is_archived
        )
        changed = found.update(archived_at=Now() if is_archived else None)
        if changed:
            audit(
                actor=actor,
                verb="template.archive" if is_archived else "template.unarchive",
                subject=template,
                before={"is_archived": not is_archived},
                after={"is_archived": is_archived},
            )
