"""Asks on the log-in's own pages, which are the library's, as on all others: who it is, and whether it still is them."""

from collections.abc import Callable

from allauth.core.exceptions import ReauthenticationRequired
from django.http import HttpRequest, HttpResponseBase

from mailops.accounts.confirming import suspend
from mailops.accounts.permissions import to_login


class LibraryPagesMiddleware:
    """Stands below the library's, which would keep all that was posted, with all headers, readable and for any time."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        if not isinstance(exception, ReauthenticationRequired):
            return None
        return suspend(request) if request.user.is_authenticated else to_login(request)
