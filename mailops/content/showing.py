"""Finds a draft or a version by the numbers of its address, and the sides of a comparison."""

from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse

from mailops.content.differing import State
from mailops.content.models import MailTemplate, TemplateVersion


def draft_or_404(template_id: int) -> MailTemplate:
    """Return a template that people write, with what lays its draft out."""
    found = MailTemplate.objects.written().select_related("layout")
    return get_object_or_404(found, pk=template_id)


def version_or_404(template_id: int, number: int) -> TemplateVersion:
    found = TemplateVersion.objects.select_related(
        "template__layout", "template__test_of", "published_by"
    )
    version = found.filter(template=template_id, number=number).first()
    if version is None:
        raise Http404
    return version


def address_of_editor(template: MailTemplate, language: str) -> str:
    """Return where the draft is edited in `language`; empty for its own words."""
    query = {"language": language} if language else None
    return reverse("content:edit", args=[template.pk], query=query)


def state_of(template: MailTemplate, side: str) -> State:
    """Return one side of a comparison: the draft, or the version of that number."""
    if side == "draft":
        return State.of_draft(template)
    return State.of_version(version_or_404(template.pk, int(side)))
