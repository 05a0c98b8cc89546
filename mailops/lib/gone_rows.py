"""Answers for rows that somebody deleted while their page was being worked on."""

import logging
from collections.abc import Callable

from django.core.exceptions import ObjectDoesNotExist
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.defaults import page_not_found

logger = logging.getLogger(__name__)


class GoneRowMiddleware:
    """Answers 404 where a verb locks a row that was there when the view loaded it, and is no more."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, ObjectDoesNotExist):
            return None
        logger.warning("%s %s: %s", request.method, request.path, exception, exc_info=exception)
        return page_not_found(request, exception)
