"""Tells whether this installation is well, for supervisors and load balancers."""

from collections.abc import Callable

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.cache import never_cache

from mailops.accounts.permissions import for_anyone


@for_anyone
@never_cache
def health(_request: HttpRequest) -> HttpResponse:
    """Answer 200 where pages can be served, and 503 where the database is away."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return HttpResponse("the database does not answer\n", "text/plain", 503)
    return HttpResponse("well\n", "text/plain")


class HealthMiddleware:
    """Answers the health check before anybody asks by which name it was called: a load balancer calls an address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        is_asked = request.path_info == reverse("installation:health")
        if is_asked and request.method in {"GET", "HEAD"}:
            return health(request)
        return self.get_response(request)
