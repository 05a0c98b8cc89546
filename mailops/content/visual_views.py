"""The visual editor: GrapesJS over the same MJML source, on a page with a content security policy of its own."""

import re

from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from mailops.accounts.permissions import Act, needs
from mailops.content.composing import RENDER
from mailops.content.forms import DraftForm
from mailops.content.masking import mask
from mailops.content.mjml import find_mistakes
from mailops.content.models import MailTemplate
from mailops.lib.htmx import render_page

# What GrapesJS reads with the browser's parser and would move or drop.
_BETWEEN = re.compile(
    r"(?:</?(?:mjml|mj-(?:head|body|wrapper|section|group|column|hero|social|navbar|accordion|carousel|table))\b[^>]*>|</mj-[a-z-]+\s*>|</t[rdh]\s*>|<t[rdh]\b[^>]*>)\s*<!--[\ue000\ue005]"
)


_UNSHOWN = [
    (RENDER, "The source has blocks, which the visual editor can't show."),
    (
        re.compile("<mj-raw|<!--"),
        "The source has raw HTML or comments, which the visual editor would lose.",
    ),
    (
        re.compile("<mj-attributes"),
        "The head sets defaults (mj-attributes); the visual editor has its own and would mix them up.",
    ),
]


@needs(Act.AUTHOR)
@csp_update({"style-src": ["'unsafe-inline'"], "font-src": ["data:"]})  # type: ignore[arg-type]
def template_visual(request: HttpRequest, template_id: int) -> HttpResponse:
    """Open the draft's MJML in GrapesJS, or say what of it that can't express; saving is the editor's own address."""
    template = get_object_or_404(MailTemplate, pk=template_id)
    refusal = why_not(template)
    return render_page(
        request,
        "content/template_visual.html",
        {"template": template, "refusal": refusal, "draft": DraftForm.initial_for(template)},
    )


def why_not(template: MailTemplate) -> str:
    """Say what of the draft the visual editor can't express; it would be moved or lost, so the editor isn't opened."""
    source = template.draft_html
    if not template.is_mjml or not template.is_mail or template.layout_id:
        return "It opens whole mails written in MJML, without a layout."
    if any(mistake.is_error for mistake in find_mistakes(source)):
        return "The source has errors; mend them first."
    for what, reason in _UNSHOWN:
        if what.search(source):
            return reason
    masked, _ = mask(source)
    if between := _BETWEEN.search(masked):
        line = masked.count("\n", 0, between.end()) + 1
        return f"In line {line} a Liquid tag stands between elements, where the visual editor would move it."
    return ""
