"""Answers forms whose token is of another log-in than the browser's."""

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.views.csrf import csrf_failure

from mailops.lib.htmx import wants_fragment


def form_too_old(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Refuse a form; a page that htmx posts from gets the token of now, so that what is typed there can go on."""
    response = csrf_failure(request, reason)
    if wants_fragment(request):
        response.headers["X-CSRFToken"] = get_token(request)
    return response
