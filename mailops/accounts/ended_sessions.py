"""Forgets sessions past their end: nobody comes back to one, and what waited in it stays with it."""

from django.contrib.sessions.models import Session
from django.utils import timezone

from mailops.lib.chunks import delete_some

BATCH = 10_000


def forget() -> bool:
    """Drop the sessions that ended first; return whether there may be more."""
    ended = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
    return delete_some(ended, most=BATCH) == BATCH
