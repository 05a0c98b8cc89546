"""Publishes drafts as versions that never change, releases older ones anew, and brings them back as drafts."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import ChangedMeanwhile, expect
from mailops.accounts.models import User
from mailops.content.checking import Look, Sources
from mailops.content.composing import Uncomposable, compose
from mailops.content.differing import State
from mailops.content.enclosing import take_over
from mailops.content.files import files_of_version, infection_of, merged
from mailops.content.gates.finding import Problem
from mailops.content.languages import language_tags
from mailops.content.looking import look_at_draft, sources_of
from mailops.content.models import Approval, MailTemplate, TemplateVersion
from mailops.content.picturing import html_of
from mailops.content.rendering import RenderError
from mailops.content.tasks import have_drawn


class NothingToPublish(Exception):
    """The draft says exactly what the newest version says, and the same is made and found of it."""


class NotNodded(Exception):
    """There are warnings, and nobody said that they saw them."""


class NotApproved(Exception):
    """The template asks for a second person, and none approved exactly this content."""


class NewerPublished(Exception):
    """Another version is the newest by now than the one that the person saw who rolls back."""


REFUSALS = (NothingToPublish, NotNodded, NotApproved, ChangedMeanwhile)
_WORDS: dict[type[Exception], str] = {
    NothingToPublish: "The draft says exactly what the newest version says.",
    NotNodded: "Mend what is warned of, or say that you have seen it.",
    NotApproved: "Nobody else has approved exactly this content yet.",
    ChangedMeanwhile: "Somebody changed the draft, or a part of it, since you looked. Look again.",
    NewerPublished: "Somebody published another version since you looked. Look again.",
}


def words_of(error: Exception) -> str:
    """Return what a person reads of a refusal."""
    return _WORDS.get(type(error), str(error))


def findings_of(look: Look, others: Mapping[str, Look]) -> list[dict[str, object]]:
    """Return what the gates said of all languages, as a version keeps it."""
    return [problem.as_json() for one in (look, *others.values()) for problem in one.problems]


def release_hash(template: MailTemplate, parts: list[list[int]]) -> str:
    """Return what stands for all that a release of the draft would send: its sources, its sample and its parts."""
    return _hash_of(template.draft_hash, parts, template.sample, template.draft_subject)


def _hash_of(*whole: object) -> str:
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def was_approved(version: TemplateVersion) -> bool:
    """Tell whether a second person approved exactly what `version` is."""
    parts, sample = version.parts, version.sample
    content_hash = _hash_of(version.content_hash, parts, sample, version.subject)
    approval = newest_approval(version.template, content_hash)
    return approval is not None and approval.is_approved is True


def publish(
    template: MailTemplate,
    actor: User | None,
    note: str = "",
    *,
    seen: str | None = None,
    has_nodded: bool = True,
    override_reason: str = "",
    more: Sequence[Problem] = (),
) -> TemplateVersion:
    """Make the draft the next version; `more` is what slow gates found in it, asked before.

    Raise RenderError, NothingToPublish, NotNodded, NotApproved or, where its release hash isn't the one `seen` any more,
    ChangedMeanwhile. `override_reason` breaks the glass: it goes out without a second person, and the trail says why.
    """
    with transaction.atomic():
        locked = MailTemplate.objects.select_for_update(of=("self",)).select_related("layout")
        draft = locked.get(pk=template.pk)
        look, others = look_at_draft(draft)
        look.problems.extend(more)
        refuse_errors(look, others)
        wanted = release_hash(draft, look.parts)
        expect(seen, was=wanted)
        latest = draft.latest_version
        if latest and is_as_published(latest, draft, look, others):
            raise NothingToPublish
        if not has_nodded and any(one.warnings for one in (look, *others.values())):
            raise NotNodded
        approval = newest_approval(draft, wanted)
        is_approved = approval is not None and approval.is_approved
        if draft.needs_approval and not (is_approved or override_reason):
            raise NotApproved
        version = _write(
            draft, look, others, actor=actor, note=note, override_reason=override_reason
        )
        _audit_release(version, latest, actor, note or override_reason)
        if draft.is_mail and settings.MAILOPS_CHROMIUM:
            have_drawn([html_of(State.of_version(version))])
    return version


def is_as_published(
    latest: TemplateVersion, draft: MailTemplate, look: Look, others: dict[str, Look]
) -> bool:
    """Tell whether a release would change nothing: neither what is sent, nor what the gates said of it."""
    if latest.content_hash != draft.draft_hash or latest.parts != look.parts:
        return False
    made = (_html_of(draft, look), _variants(draft, others), findings_of(look, others))
    return made == (latest.html, latest.variants, latest.findings)


def is_made_anew(draft: MailTemplate, latest: TemplateVersion) -> bool:
    """Tell whether the words of `latest`, which are the draft's, would become another mail now.

    So they do with a newer version of a layout or block, or of mailops.
    """
    sources = sources_of(draft)
    names = ("syntax", "layout", "files")
    try:
        composed = compose(
            Sources(**sources).standing_alone, **{name: sources[name] for name in names}
        )
    except Uncomposable:
        return False
    has_newer = any(part not in latest.parts for part in composed.parts)
    return has_newer or (draft.is_mail and composed.html != latest.html)


def newest_approval(template: MailTemplate, content_hash: str) -> Approval | None:
    """Return what was last asked or decided about exactly this content; earlier answers don't count any more."""
    found = template.approvals.filter(content_hash=content_hash)
    return found.select_related("asked_by", "decided_by").order_by("-pk").first()


def publish_as_test(
    template: MailTemplate, holder: MailTemplate, actor: User | None
) -> TemplateVersion:
    """Write the draft down as a version of `holder`, which nobody sees; raise RenderError."""
    look, others = look_at_draft(template)
    refuse_errors(look, others)
    latest = holder.latest_version
    whole = (template.draft_hash, look.parts, template.sample)
    if latest and (latest.content_hash, latest.parts, latest.sample) == whole:
        return latest
    return _write(template, look, others, actor=actor, note="A test.", holder=holder)


def refuse_errors(look: Look, others: Mapping[str, Look]) -> None:
    """Raise RenderError where the words in any language can't be published."""
    for language, one in {"": look, **others}.items():
        if one.errors:
            first = one.errors[0]
            said = f"{first.sentence} ({language})" if language else first.sentence
            raise RenderError(said, first.line, first.part)


def _write(
    draft: MailTemplate,
    look: Look,
    others: dict[str, Look],
    *,
    actor: User | None,
    note: str,
    override_reason: str = "",
    holder: MailTemplate | None = None,
) -> TemplateVersion:
    return TemplateVersion.objects.create(
        template=holder or draft,
        number=next_number(holder or draft),
        subject=draft.draft_subject,
        html=_html_of(draft, look),
        text=draft.draft_text,
        source=draft.draft_html,
        syntax=draft.syntax,
        parts=look.parts,
        variants=_variants(draft, others),
        files=enclosed_of(look, others),
        sample=draft.sample,
        variables=sorted({name for one in (look, *others.values()) for name in one.variables}),
        content_hash=draft.draft_hash,
        findings=findings_of(look, others),
        note=note,
        override_reason=override_reason,
        published_by=actor,
    )


def _html_of(draft: MailTemplate, look: Look) -> str:
    return look.compiled if draft.is_mail else draft.draft_html


def enclosed_of(look: Look, others: Mapping[str, Look]) -> list[dict[str, Any]]:
    """Return the files of all languages, as a version keeps them."""
    files = [file for one in (look, *others.values()) for file in one.files]
    return [file.as_json() for file in merged(files)]


def _variants(draft: MailTemplate, looks: dict[str, Look]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variant in draft.variants.order_by("language"):
        for tag in language_tags(variant.also_for):
            found[tag] = {"same_as": variant.language}
    for variant in draft.variants.order_by("language"):
        found[variant.language] = {
            "subject": variant.draft_subject,
            "html": looks[variant.language].compiled,
            "text": variant.draft_text,
            "source": variant.draft_html,
            "also_for": variant.also_for,
        }
    return found


def next_number(template: MailTemplate) -> int:
    return (template.versions.aggregate(last=Max("number"))["last"] or 0) + 1


def _audit_release(
    version: TemplateVersion,
    before: TemplateVersion | None,
    actor: User | None,
    reason: str,
    verb: str = "template.publish",
) -> None:
    audit(
        actor=actor,
        verb="template.publish_unapproved" if version.override_reason else verb,
        subject=version.template,
        before={"version": before.number if before else None},
        after={"version": version.number, "hash": version.content_hash},
        reason=reason,
    )


_ROLLED_BACK = (
    *("subject", "html", "text", "source", "syntax", "parts", "variants", "sample"),
    *("files", "variables", "content_hash", "findings"),
)


def roll_back(
    *,
    version: TemplateVersion,
    actor: User | None,
    reason: str = "",
    seen: int | None = None,
    may_override: bool = True,
) -> TemplateVersion:
    """Release an older version anew, as the newest: what it sends is what it sent then, octet for octet.

    Who approved it then is not asked again, and the draft stays as it is. Raise NothingToPublish where this is out already,
    NewerPublished where the newest isn't number `seen` any more, NotApproved where the template asks for a second person,
    none ever approved this, and whoever rolls back may not override that, and RenderError where a file of it was found
    infected since.
    """
    with transaction.atomic():
        template = MailTemplate.objects.select_for_update().get(pk=version.template_id)
        latest = template.latest_version
        copied = {name: getattr(version, name) for name in _ROLLED_BACK}
        if latest is None or copied == {name: getattr(latest, name) for name in _ROLLED_BACK}:
            raise NothingToPublish
        if seen is not None and latest.number != seen:
            raise NewerPublished
        if why := infection_of(files_of_version(version)):
            raise RenderError(why)
        is_unapproved = template.needs_approval and not was_approved(version)
        if is_unapproved and not may_override:
            raise NotApproved
        note = f"Rolled back to version {version.number}" + (f": {reason}" if reason else ".")
        release = TemplateVersion.objects.create(
            template=template,
            number=next_number(template),
            **copied,
            note=note,
            restores=version.number,
            override_reason=note if is_unapproved else "",
            published_by=actor,
        )
        _audit_release(release, latest, actor, note, "template.roll_back")
    return release


def _whole_draft(template: MailTemplate) -> dict[str, Any]:
    return {
        "subject": template.draft_subject,
        "html": template.draft_html,
        "text": template.draft_text,
        "sample": template.sample,
        "variants": {
            variant.language: {
                "subject": variant.draft_subject,
                "html": variant.draft_html,
                "text": variant.draft_text,
                "also_for": variant.also_for,
            }
            for variant in template.variants.order_by("language")
        },
    }


def restore(
    *, version: TemplateVersion, actor: User | None, seen: int | None = None
) -> MailTemplate:
    """Make `version` the draft again; a draft that was never published stays in the audit trail.

    Raise ChangedMeanwhile where the draft isn't at the revision `seen` any more; where it says exactly this by now, as after a
    second press, nothing is written.
    """
    with transaction.atomic():
        template = MailTemplate.objects.select_for_update().get(pk=version.template_id)
        if seen is not None and template.draft_revision != seen:
            if (template.draft_hash, template.sample) == (version.content_hash, version.sample):
                return template
            raise ChangedMeanwhile
        before: dict[str, Any] = {"hash": template.draft_hash}
        said = template.versions.filter(content_hash=template.draft_hash, sample=template.sample)
        if not said.exists():
            before |= _whole_draft(template)
        take_over(template, version)
        template.speak_only(version.written_variants)
        template.draft_subject = version.subject
        template.draft_html = version.source or version.html
        template.draft_text, template.sample = version.text, version.sample
        template.syntax = version.syntax
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
