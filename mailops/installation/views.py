"""Tells whether this installation is well, for supervisors and load balancers."""

from collections.abc import Callable
from functools import cached_property

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.cache import never_cache

from mailops.accounts.permissions import for_anyone
from mailops.incidents.models import Threshold, Watch


@for_anyone
@never_cache
def health(_request: HttpRequest) -> HttpResponse:
    """Answer 200 where pages can be served, and 503 where the database is away or takes no changes."""
    try:
        with connection.cursor() as cursor:
            # on as well where the server only follows another
            cursor.execute("SHOW transaction_read_only")
            is_read_only = cursor.fetchone()[0] == "on"
    except DatabaseError:
        return HttpResponse("the database does not answer\n", "text/plain", 503)
    if is_read_only:
        return HttpResponse("the database takes no changes\n", "text/plain", 503)
    return HttpResponse("well\n", "text/plain")


@for_anyone
@never_cache
def watched(_request: HttpRequest) -> HttpResponse:
    """Answer 200 while mailops looks for all trouble, and 503 where it doesn't: nobody else tells of that."""
    try:
        is_watching = Watch.objects.watching().exists()
        is_failing = Threshold.objects.failing().exists()
    except DatabaseError:
        return HttpResponse("the database does not answer\n", "text/plain", 503)
    if not is_watching:
        return HttpResponse("nobody looks for trouble\n", "text/plain", 503)
    if is_failing:
        return HttpResponse("a threshold can't be looked at\n", "text/plain", 503)
    return HttpResponse("watched\n", "text/plain")


CHECKS = {"installation:health": health, "installation:watched": watched}


class HealthMiddleware:
    """Answers the health checks before anybody asks by which name they were called: a load balancer calls an address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        check = self._checks.get(request.path_info)
        if check and request.method in {"GET", "HEAD"}:
            return check(request)
        return self.get_response(request)

    @cached_property
    def _checks(self) -> dict[str, Callable[[HttpRequest], HttpResponseBase]]:
        """Path → check."""
        return {reverse(name): check for name, check in CHECKS.items()}
