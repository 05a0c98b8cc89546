"""Refuses a body that is too large before anything reads it: the rest would go to the disk, whoever sent it."""

from collections.abc import Callable
from io import BytesIO
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
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
    """Stands above all that reads: the look at a form's token does, and so do the pages of errors, which have one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        declared = request.META.get("CONTENT_LENGTH") or "0"
        if not _is_within(declared, _for_all()):
            _held[request] = (declared, request._stream)  # noqa: SLF001 - what Django reads
            _put(request, "0", BytesIO())
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _args: Any, _kwargs: Any
    ) -> HttpResponseBase | None:
        """Give the body back to the `view` that may read it."""
        if request not in _held:
            return None
        if not hasattr(view, "most"):
            return _too_large(request, _for_all())
        try:
            response = turned_away(request, view)
        except PermissionDenied:
            return _too_large(request, _for_all())
        declared, body = _held[request]
        if view.most is not WEIGHS_ITSELF and not _is_within(declared, view.most + BESIDE):
            return response or _too_large(request, view.most)
        if not response:
            _put(request, declared, body)
        return response


# the bodies that nobody may read yet, by their requests: what the server said of their length, and they
_held: WeakKeyDictionary[HttpRequest, tuple[str, Any]] = WeakKeyDictionary()


def _for_all() -> int:
    return settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0


def _is_within(declared: str, most: int) -> bool:
    octets = whole_number(declared)
    return octets is not None and octets <= most


def _put(request: HttpRequest, declared: str, body: Any) -> None:
    request.META["CONTENT_LENGTH"] = declared
    request._stream = body  # noqa: SLF001


def _too_large(request: HttpRequest, most: int) -> HttpResponse:
    limit = filesizeformat(most)
    if not wants_fragment(request):
        return render(request, "413.html", {"limit": limit}, status=413)
    sentence = f"That is larger than {limit}, the most that is taken here. Nothing was changed."
    messages.error(request, sentence)
    toasts = render_to_string("_parts/toasts.html", {"oob": True}, request)
    return HttpResponse(toasts, status=413, headers={"HX-Reswap": "none"})
