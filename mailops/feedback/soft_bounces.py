"""Tells when a mailbox that is not gone has refused often enough to be left alone for a while."""

from datetime import timedelta

from django.db.models import Max
from django.db.models.functions import Now

from mailops.outbox.models import Event, EventKind
from mailops.protocol.classification import Fault

LIMIT = 3  # messages returned or refused, one after another
WINDOW = timedelta(days=30)


def is_repeated(address_key: str) -> bool:
    """Tell whether LIMIT messages in WINDOW failed by the recipient's fault, with no delivery between them."""
    told = Event.objects.filter(
        message__address_key=address_key, occurred_at__gt=Now() - WINDOW, was_applied=True
    )
    delivered_at = told.filter(kind=EventKind.DELIVERED).aggregate(last=Max("occurred_at"))["last"]
    failed = told.filter(kind__in=[EventKind.RETURNED, EventKind.BOUNCED], fault=Fault.RECIPIENT)
    if delivered_at:
        failed = failed.filter(occurred_at__gt=delivered_at)
    return failed.values("message").distinct().count() >= LIMIT
