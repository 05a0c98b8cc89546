"""Answers people who come to an address that only a button calls: by a reload, or by a log-in that had run out."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import render
from django.urls import Resolver404, resolve


class WrongMethodMiddleware:
    """Puts a page in the place of the empty 405 where somebody who is logged in opens such an address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not isinstance(response, HttpResponseNotAllowed) or request.method != "GET":
            return response
        if not request.user.is_authenticated:
            return response
        page = render(request, "405.html", {"above": _above(request.path)}, status=405)
        page["Allow"] = response["Allow"]
        return page


def _above(path: str) -> str:
    """Return the nearest address above `path` at which there is something: mostly the page that has the button."""
    while path != "/":
        path = path.rstrip("/").rpartition("/")[0] + "/"
        try:
            resolve(path)
        except Resolver404:
            continue
        break
    return path
