"""Turns away requests whose text can't be kept or shown, before a view reads them."""

import codecs
from collections.abc import Callable
from typing import TypeVar

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import Resolver404, resolve

_TEXT = {"utf-8", "ascii"}
_View = TypeVar("_View", bound=Callable[..., object])


def takes_any_charset(view: _View) -> _View:
    """Let forms come to `view` whatever charset they name: it wants words in ASCII alone, which are alike in all of them."""
    view.takes_any_charset = True  # type: ignore[attr-defined]
    return view


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
            if not _takes_any_charset(request.path_info):
                raise BadRequest(f"Forms are read as UTF-8, not as {charset[:40]!r}.")
            request.encoding = "utf-8"
        return self.get_response(request)


def _takes_any_charset(path: str) -> bool:
    try:
        return hasattr(resolve(path).func, "takes_any_charset")
    except Resolver404:
        return False


def _is_utf8(charset: str) -> bool:
    try:
        return codecs.lookup(charset).name in _TEXT
    except LookupError:
        return False
