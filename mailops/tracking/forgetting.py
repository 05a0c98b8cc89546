"""Deletes looks that are too old to be asked after; their counts stay, and name nobody."""

from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from mailops.tracking.models import Hit, Look

CHUNK = 5000


def forget_old() -> bool:
    """Delete a chunk of old calls and looks; return whether more are left."""
    calls = Hit.objects.filter(
        is_read=True, at__lt=Now() - timedelta(days=settings.MAILOPS_HIT_DAYS)
    )
    looks = Look.objects.filter(first_at__lt=Now() - timedelta(days=settings.MAILOPS_LOOK_DAYS))
    few_calls = list(calls.order_by("id").values_list("pk", flat=True)[:CHUNK])
    few_looks = list(looks.order_by("first_at").values_list("pk", flat=True)[:CHUNK])
    Hit.objects.filter(pk__in=few_calls).delete()
    Look.objects.filter(pk__in=few_looks).delete()
    return CHUNK in {len(few_calls), len(few_looks)}
