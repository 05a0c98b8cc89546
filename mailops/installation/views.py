"""Tells whether this installation is well, for supervisors and load balancers."""

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
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
