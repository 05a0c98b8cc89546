"""Deletes looks that are too old to be asked after; their counts stay, and name nobody."""

from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from mailops.lib.chunks import delete_some
from mailops.tracking.models import Hit, Look

CHUNK = 5000


def forget_old() -> bool:
    """Delete a chunk of old calls and looks; return whether more are left."""
    calls = Hit.objects.filter(
        is_read=True, at__lt=Now() - timedelta(days=settings.MAILOPS_HIT_DAYS)
    )
    looks = Look.objects.filter(first_at__lt=Now() - timedelta(days=settings.MAILOPS_LOOK_DAYS))
    old = (calls.order_by("id"), looks.order_by("first_at"))
    return CHUNK in [delete_some(rows, most=CHUNK) for rows in old]
