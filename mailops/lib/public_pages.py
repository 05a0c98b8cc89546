"""Answers to whoever holds a signed link: no search engine lists them, and no other site learns their address."""

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render

_HEADERS = {
    "X-Robots-Tag": "noindex, nofollow",
    "Referrer-Policy": "no-referrer",  # the address tells whose message it was
}


def render_public(
    request: HttpRequest, template: str, context: dict[str, object], *, status: int = 200
) -> HttpResponse:
    return kept_private(render(request, template, context, status=status))


def kept_private(response: HttpResponse) -> HttpResponse:
    """Return `response` with the headers that keep its address where it is."""
    for name, value in _HEADERS.items():
        response[name] = value
    return response


def posted(request: HttpRequest) -> dict[str, str]:
    """Return the fields of a form; none where it can't be read, of use where the address alone says what is wished."""
    try:
        return request.POST.dict()
    except (MultiPartParserError, SuspiciousOperation):  # the latter of more fields than are read
        return {}
