"""Answers to whoever holds a signed link: no search engine lists them, and no other site learns their address."""

from django.http import HttpRequest, HttpResponse
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
