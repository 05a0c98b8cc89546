"""Two states of a mail side by side as pictures, and the pictures themselves."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.cache import cache_control

from mailops.accounts.permissions import Act, needs
from mailops.content import picturing, tasks
from mailops.content.forms import DiffForm
from mailops.content.models import Errand, MailTemplate, Picture
from mailops.content.showing import state_of
from mailops.lib.htmx import polled_status, render_page


@needs(Act.SEE, to_change=Act.AUTHOR)
def template_pictures(request: HttpRequest, template_id: int) -> HttpResponse:
    """Show what is drawn of two states; a POST has drawn what is missing."""
    template = get_object_or_404(MailTemplate.objects.select_related("layout"), pk=template_id)
    numbers = list(template.versions.order_by("-number").values_list("number", flat=True))
    chosen = request.GET if "old" in request.GET else _newest_step(numbers)
    form = DiffForm(chosen, numbers=numbers)
    if not form.is_valid():
        return render_page(
            request,
            "content/template_pictures.html",
            {"template": template, "form": form},
            fragment="pictures",
            status=422,
        )
    sides = [form.cleaned_data[name] for name in ("old", "new")]
    states = [state_of(template, side) for side in sides]
    htmls = [picturing.html_of(state, states[1].sample) for state in states]
    if request.method == "POST":
        tasks.have_drawn(htmls)
        address = reverse("content:pictures", args=[template.pk])
        return redirect(f"{address}?old={sides[0]}&new={sides[1]}")
    drawn = _drawn(htmls)
    return render_page(
        request,
        "content/template_pictures.html",
        {"template": template, "form": form, "old": states[0], "new": states[1], **drawn},
        fragment="pictures",
        status=polled_status(request, goes_on=drawn["is_drawing"]),
    )


def _drawn(htmls: list[str]) -> dict[str, Any]:
    """Return the pictures of two states, and what becomes of those that are missing."""
    pairs = picturing.pairs(*htmls)
    is_whole = all(pair.is_whole for pair in pairs)
    wanted = Errand.objects.filter(
        kind=Errand.Kind.PICTURES, key__in=map(picturing.key_of, htmls)
    ).order_by("id")
    is_drawing = not is_whole and wanted.exclude(due_at=None).exists()
    given_up = None if is_whole or is_drawing else wanted.first()
    return {
        "pairs": pairs,
        "is_whole": is_whole,
        "is_drawing": is_drawing,
        "why_not": given_up.fault if given_up else "",
    }


def _newest_step(numbers: list[int]) -> dict[str, str]:
    return {"old": str(numbers[0]) if numbers else "draft", "new": "draft"}


@needs(Act.SEE)
@cache_control(private=True, immutable=True, max_age=31_536_000)
def picture(_request: HttpRequest, picture_id: int) -> HttpResponse:
    found = get_object_or_404(Picture, pk=picture_id)
    return HttpResponse(bytes(found.image), content_type="image/png")
