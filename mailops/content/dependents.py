"""What a new version of a layout or a block changes in the mails that use it, and those mails published anew."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.content.checking import Look, look_over, parts_of
from mailops.content.differing import Line, State, compare_rendered
from mailops.content.files import infection_of, own_files
from mailops.content.models import MailTemplate, TemplateVersion
from mailops.content.publishing import enclosed_of, findings_of, next_number


@dataclass(frozen=True)
class Change:
    """One mail whose newest version uses an older version of the part."""

    template: MailTemplate
    version: TemplateVersion  # its newest
    look: Look  # what it would be
    variants: dict[str, Look]
    parts: list[tuple[str, list[Line]]]

    @property
    def is_open(self) -> bool:
        return not self.error

    @cached_property
    def error(self) -> str:
        """Why it can't be published anew; empty where it can."""
        looks = (self.look, *self.variants.values())
        errors = [one for look in looks for one in look.errors]
        if not errors:
            return infection_of(file for look in looks for file in look.files)
        first = errors[0]
        return f"{first.sentence} ({first.language})" if first.language else first.sentence


def users_of(part: MailTemplate) -> list[TemplateVersion]:
    """Return the newest versions that use `part`, by the names of their templates."""
    if part.is_mail or not part.pk:
        return []
    newest = (
        TemplateVersion.objects.filter(template__in=MailTemplate.objects.current())
        .order_by("template_id", "-number")
        .distinct("template_id")
        .select_related("template")
    )
    using = [one for one in newest if any(pk == part.pk for pk, _ in one.parts)]
    return sorted(using, key=lambda one: one.template.name)


def changes_by(version: TemplateVersion) -> list[Change]:
    """Return what `version` of a layout or block would change, mail by mail; what it changes already is left out."""
    pinned = [version.template_id, version.number]
    return [_change(user) for user in users_of(version.template) if pinned not in user.parts]


def _change(user: TemplateVersion) -> Change:
    look = look_over(**_sources(user), sample=user.sample)
    variants = {
        language: look_over(
            **_sources(user)
            | {"subject": words["subject"], "html": words["source"], "text": words["text"]},
            sample=user.sample,
        ).in_language(language)
        for language, words in user.written_variants.items()
    }
    before = State.of_version(user)
    after = replace(before, compiled=look.compiled)
    return Change(user.template, user, look, variants, compare_rendered(before, after))


def _sources(version: TemplateVersion) -> dict[str, Any]:
    return {
        "subject": version.subject,
        "html": version.source or version.html,
        "text": version.text,
        "syntax": version.syntax,
        "kind": version.template.kind,
        "layout": _layout_of(version),
        "files": own_files(version),
    }


def _layout_of(version: TemplateVersion) -> MailTemplate | None:
    """Return the layout that `version` was published with; the draft may have another one by now."""
    layouts = MailTemplate.objects.filter(kind=MailTemplate.Kind.LAYOUT)
    return layouts.filter(pk__in=[pk for pk, _ in version.parts]).first()


def republish(*, version: TemplateVersion, chosen: Sequence[Change], actor: User | None) -> int:
    """Publish the chosen mails anew with the part's newest version, their own words unchanged; return how many.

    One that asks for a second person is left to its own page: there it is asked for.
    """
    made = 0
    for change in chosen:
        if not change.is_open:
            continue
        with transaction.atomic():
            template = MailTemplate.objects.select_for_update().get(pk=change.template.pk)
            latest = template.latest_version
            if template.needs_approval or latest is None or latest.pk != change.version.pk:
                continue
            _republish(latest, change, version, actor)
            made += 1
    return made


def _republish(
    latest: TemplateVersion, change: Change, part: TemplateVersion, actor: User | None
) -> None:
    template = change.template
    variants = {
        language: {**words, "html": change.variants[language].compiled}
        if language in change.variants
        else words
        for language, words in latest.variants.items()
    }
    note = f"With {part}."
    release = TemplateVersion.objects.create(
        template=template,
        number=next_number(template),
        subject=latest.subject,
        html=change.look.compiled,
        text=latest.text,
        source=latest.source or latest.html,
        syntax=latest.syntax,
        parts=parts_of(change.look, *change.variants.values()),
        variants=variants,
        files=enclosed_of(change.look, change.variants),
        sample=latest.sample,
        variables=change.look.variables,
        content_hash=latest.content_hash,
        findings=findings_of(change.look, change.variants),
        note=note,
        published_by=actor,
    )
    audit(
        actor=actor,
        verb="template.publish",
        subject=template,
        before={"version": latest.number},
        after={"version": release.number, "hash": release.content_hash},
        reason=note,
    )
