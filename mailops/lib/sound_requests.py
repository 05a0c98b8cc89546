"""Turns away requests whose text can't be kept or shown, before a view reads them."""

import codecs
from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponseBase

_TEXT = {"utf-8", "ascii"}


class SoundRequestMiddleware:
    """Refuses a path with a NUL in it, which no row can have, and a form that says it isn't UTF-8.

    Django refuses the latter for one of the two kinds of form; the other it decodes by any of Python's codecs, some of
    which are none for text and some of which make half characters.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "\0" in request.path_info:
            raise Http404
        charset = (request.content_params or {}).get("charset", "utf-8")
        if not _is_utf8(charset):
            raise BadRequest(f"Forms are read as UTF-8, not as {charset[:40]!r}.")
        return self.get_response(request)


def _is_utf8(charset: str) -> bool:
    try:
        return codecs.lookup(charset).name in _TEXT
    except LookupError:
        return False
