"""Keeps cookies out of what recipients call: no session is looked up there, and none is begun."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

_PUBLIC = ("/l/", "/o/")


class NoCookiesMiddleware:
    """Stands above the sessions: a member of the team who follows a link is led on as anybody is, database or not."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(_PUBLIC):
            request.META.pop("HTTP_COOKIE", None)
        return self.get_response(request)
