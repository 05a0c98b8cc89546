"""Whether the links of a draft lead anywhere: what is known, and asking for the rest."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from mailops.accounts.permissions import Act, needs
from mailops.content.forms import AskingForm
from mailops.content.link_answers import Shown, links_of
from mailops.content.looking import look_at_draft
from mailops.content.models import MailTemplate
from mailops.content.tasks import have_links_asked
from mailops.lib.htmx import polled_status, render_page, wants_fragment

PATIENCE = 120  # looks, a second each; a worker that is away is not waited for


@needs(Act.SEE, to_change=Act.AUTHOR)
def template_links(request: HttpRequest, template_id: int) -> HttpResponse:
    template = get_object_or_404(MailTemplate.objects.select_related("layout"), pk=template_id)
    look, others = look_at_draft(template)
    links = links_of(template, [look, *others.values()])
    if request.method == "POST":
        if settings.MAILOPS_FETCH_LINKS and any(each.is_open for each in links):
            have_links_asked(template.pk)
        if not wants_fragment(request):
            return redirect("content:links", template.pk)
        return render(request, "content/_links.html", context_of(template, links, asking=1))
    form = AskingForm(request.GET)
    asking = form.cleaned_data["asking"] or 0 if form.is_valid() else 0
    context = context_of(template, links, asking=asking + 1 if 0 < asking < PATIENCE else 0)
    if wants_fragment(request):
        status = polled_status(request, goes_on=context["asking"] > 0)
        return render(request, "content/_links.html", context, status=status)
    return render_page(request, "content/template_links.html", context)


def context_of(
    template: MailTemplate, links: Sequence[Shown], *, asking: int = 0, begins: bool = False
) -> dict[str, Any]:
    """Return what the list of links shows: `asking` counts the looks of who waits, `begins` has it asked at once."""
    allowed = settings.MAILOPS_FETCH_LINKS
    open_count = sum(each.is_open for each in links)
    askable = sum(not each.link.is_own for each in links)
    return {
        "template": template,
        "links": sorted(links, key=lambda each: each.rank),
        "allowed": allowed,
        "open_count": open_count,
        "askable_count": askable,
        "asked_count": askable - open_count,
        "asking": asking if allowed and open_count else 0,
        "begins": begins and allowed and open_count,
    }
