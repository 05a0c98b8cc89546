"""Looks over a template's draft, in all its languages."""

from dataclasses import replace
from typing import Any

from mailops.content.checking import Look, Sources, look_over, parts_of
from mailops.content.files import files_of_draft
from mailops.content.gates.files import doubtful_files
from mailops.content.models import MailTemplate, Variant
from mailops.content.people import lacking


def sources_of(template: MailTemplate) -> dict[str, Any]:
    """Return the draft as `look_over` takes it."""
    return {
        "subject": template.draft_subject,
        "html": template.draft_html,
        "text": template.draft_text,
        "syntax": template.syntax,
        "kind": template.kind,
        "layout": template.layout,
        "files": files_of_draft(template),
    }


def look_at_draft(template: MailTemplate) -> tuple[Look, dict[str, Look]]:
    """Return the look of the draft, with the parts of all languages, and that of its words in each other language."""
    main = look_over(**sources_of(template), sample=template.sample)
    if main.rendered is not None and template.is_mail:
        main.problems.extend(lacking(Sources(**sources_of(template))))
    others = {
        variant.language: _look_at_language(template, variant)
        for variant in template.variants.order_by("language")
    }
    shown = main.shown.union(*(look.shown for look in others.values()))
    main.problems.extend(doubtful_files(template, shown))
    return replace(main, parts=parts_of(main, *others.values())), others


def _look_at_language(template: MailTemplate, variant: Variant) -> Look:
    sources = sources_of(template) | _words(variant)
    look = look_over(**sources, sample=template.sample)
    if look.rendered is not None and template.is_mail:
        look.problems.extend(lacking(Sources(**sources)))
    return look.in_language(variant.language)


def _words(variant: Variant) -> dict[str, str]:
    return {
        "subject": variant.draft_subject,
        "html": variant.draft_html,
        "text": variant.draft_text,
    }
