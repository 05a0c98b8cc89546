"""The visual editor: GrapesJS over the same MJML source, on a page with a content security policy of its own."""

from dataclasses import asdict

from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse

from mailops.accounts.permissions import Act, needs, user_of
from mailops.content import desk
from mailops.content.forms import DraftForm
from mailops.content.showing import draft_or_404
from mailops.content.visual import Inexpressible, open_visually
from mailops.lib.htmx import render_page


@needs(Act.AUTHOR)
@csp_update({"style-src": ["'unsafe-inline'"], "font-src": ["data:"]})  # type: ignore[arg-type]
def template_visual(request: HttpRequest, template_id: int) -> HttpResponse:
    """Open the draft's MJML in GrapesJS, or say what of it that can't express; previews and saves are the editor's own.

    As there, it is what this person typed and did not save, where there is such.
    """
    template = draft_or_404(template_id)
    kept = desk.unsaved(template, user_of(request), "")
    words = desk.on_a_page(kept or DraftForm.initial_for(template))
    opened, refusal = None, ""
    try:
        opened = open_visually(template, words["html"])
    except Inexpressible as error:
        refusal = str(error)
    return render_page(
        request,
        "content/template_visual.html",
        {
            "template": template,
            "opened": opened,
            "facts": asdict(opened) if opened else {},
            "refusal": refusal,
            "draft": words,
            "kept": kept,
        },
    )
