"""Pages for whoever holds a signed link: no search engine lists them, and no other site learns their address."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

_HEADERS = {"X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "no-referrer"}


def render_public(
    request: HttpRequest, template: str, context: dict[str, object], *, status: int = 200
) -> HttpResponse:
    response = render(request, template, context, status=status)
    for name, value in _HEADERS.items():
        response[name] = value
    return response
