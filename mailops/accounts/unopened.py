"""Answers where a second factor's key is gone, on pages that need what it sealed."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from mailops.accounts.adapter import Unopened


class UnopenedMiddleware:
    """Leads back to the page of second factors, which needs no key and says why."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, Unopened):
            return None
        messages.error(request, exception.message)
        return redirect("mfa_index")
