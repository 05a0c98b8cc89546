"""Keeps pages out of caches: what a proxy keeps it hands to others, and what a browser keeps lies on a disk."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import add_never_cache_headers, patch_cache_control

_ENTRANCE = "/accounts/"  # shows second factors, and codes that stand in for them


class PrivatePagesMiddleware:
    """Says of all that doesn't say it itself: no proxy keeps it, and a browser asks again before it shows it anew.

    What a browser must not keep at all, it forgets with what was typed there. So that is said of secrets alone.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.has_header("Cache-Control"):
            return response
        if request.path_info.startswith(_ENTRANCE):
            add_never_cache_headers(response)
        else:
            patch_cache_control(response, private=True, no_cache=True)
        return response
