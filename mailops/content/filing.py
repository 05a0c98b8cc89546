"""Writes templates as files, and takes them in again as drafts, so that a team can keep them in git."""

from dataclasses import dataclass
from pathlib import Path

from django.db import transaction
from django.utils.text import slugify

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.content.enclosing import RefusedFile, examine, keep, put_in
from mailops.content.files import files_of_draft
from mailops.content.folders import BadFile, Filed, write_template
from mailops.content.models import MailTemplate, contents_of


@dataclass(frozen=True)
class Change:
    """What an import does to one template."""

    filed: Filed
    template: MailTemplate | None  # None: it is new
    fields: list[str]  # that differ

    @property
    def word(self) -> str:
        return "new" if self.template is None else "changed" if self.fields else "the same"


def export_templates(folder: Path) -> list[Path]:
    """Write every template that isn't archived below `folder`; return their folders."""
    written = []
    templates = MailTemplate.objects.current().select_related("layout").order_by("pk")
    taken: set[str] = set()
    for template in templates:
        slug = slugify(template.name) or f"template-{template.pk}"
        slug = slug if slug not in taken else f"{slug}-{template.pk}"
        taken.add(slug)
        filed = Filed.of(template)
        filed.contents = contents_of({file.sha256 for file in filed.files})
        write_template(filed, folder / slug)
        written.append(folder / slug)
    return written


def changes_of(filed: list[Filed]) -> list[Change]:
    """Return what importing would do, template by template."""
    known = {
        template.name: template
        for template in MailTemplate.objects.current()
        .filter(name__in=[one.name for one in filed])
        .select_related("layout")
    }
    return [_change(one, known.get(one.name)) for one in filed]


def _change(filed: Filed, template: MailTemplate | None) -> Change:
    if template is None:
        return Change(filed, None, [])
    now = Filed.of(template).__dict__
    return Change(
        filed,
        template,
        [
            name
            for name, value in filed.__dict__.items()
            if now[name] != value and name != "contents"
        ],
    )


def import_templates(filed: list[Filed], *, actor: User | None) -> list[Change]:
    """Write what differs into the drafts, making templates that are new; nothing is published. Raise BadFile."""
    with transaction.atomic():
        _hold([one.name for one in filed])
        changes = changes_of(filed)
        for change in sorted(changes, key=lambda each: each.filed.kind == MailTemplate.Kind.MAIL):
            if change.template is None or change.fields:
                _apply(change, actor)
    return changes


def _hold(names: list[str]) -> None:
    """Let nobody save these templates until the transaction ends."""
    held = MailTemplate.objects.select_for_update().filter(name__in=names).order_by("pk")
    list(held.values_list("pk"))


def _apply(change: Change, actor: User | None) -> None:
    filed = change.filed
    template = change.template or MailTemplate(name=filed.name)
    if change.template is None and MailTemplate.objects.filter(name=filed.name).exists():
        raise BadFile(f"“{filed.name}” is archived; bring it back, or give the file another name.")
    template.layout = _layout(filed)
    for name in ("kind", "description", "syntax", "language", "needs_approval", "sample"):
        setattr(template, name, getattr(filed, name))
    template.draft_subject, template.draft_html = filed.subject, filed.source
    template.draft_text = filed.text
    template.draft_revision += 1
    template.draft_changed_by = actor
    template.save()
    template.speak_only(filed.languages)
    _take_files(template, filed, actor)
    template.save(update_fields=["draft_hash"])
    audit(
        actor=actor,
        verb="template.import",
        subject=template,
        after={"fields": change.fields or ["all"], "hash": template.draft_hash},
    )


def _take_files(template: MailTemplate, filed: Filed, actor: User | None) -> None:
    if files_of_draft(template) == filed.files:
        return
    kept = {}
    for file in filed.files:
        content = filed.contents[file.sha256]
        try:
            kept[file.sha256] = keep(content, examine(file.name, content))
        except RefusedFile as error:
            raise BadFile(f"{filed.name}, {file.name}: {error}") from error
    put_in(template, [(file, kept[file.sha256]) for file in filed.files], actor)


def _layout(filed: Filed) -> MailTemplate | None:
    if not filed.layout:
        return None
    layouts = MailTemplate.objects.current().filter(kind=MailTemplate.Kind.LAYOUT)
    found = layouts.filter(name=filed.layout, syntax=filed.syntax).first()
    if found is None:
        raise BadFile(f"“{filed.name}” asks for the layout “{filed.layout}”, which isn't there.")
    return found
