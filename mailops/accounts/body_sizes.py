"""Refuses a body that is too large before anything reads it: the rest would go to the disk, whoever sent it."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string

from mailops.accounts.permissions import P, View, turned_away
from mailops.lib.htmx import wants_fragment
from mailops.lib.whole_numbers import whole_number

BESIDE = 1024 * 1024  # octets of a form beside its file
WEIGHS_ITSELF = None


def takes_uploads(most: int | None) -> Callable[[View[P]], View[P]]:
    """Let those whom `needs` lets in, below this, send a file of `most` octets; WEIGHS_ITSELF: the view refuses it."""

    def mark(view: View[P]) -> View[P]:
        view.most = most  # type: ignore[attr-defined]
        return view

    return mark


class BodySizeMiddleware:
    """Stands above the look at a form's token, which reads all of the form."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _args: Any, _kwargs: Any
    ) -> HttpResponseBase | None:
        general = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        declared = whole_number(request.META.get("CONTENT_LENGTH") or "0")
        if declared is not None and declared <= general:
            return None
        if not hasattr(view, "most"):
            return _too_large(request, general)
        if response := turned_away(request, view):
            return response
        if view.most is WEIGHS_ITSELF or (declared is not None and declared <= view.most + BESIDE):
            return None
        return _too_large(request, view.most)


def _too_large(request: HttpRequest, most: int) -> HttpResponse:
    limit = filesizeformat(most)
    if not wants_fragment(request):
        return render(request, "413.html", {"limit": limit}, status=413)
    sentence = f"That is larger than {limit}, the most that is taken here. Nothing was changed."
    messages.error(request, sentence)
    toasts = render_to_string("_parts/toasts.html", {"oob": True}, request)
    return HttpResponse(toasts, status=413, headers={"HX-Reswap": "none"})
