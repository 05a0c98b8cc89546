"""Counts what waits in streams: what a pause stops, and what runs out if it lasts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Q
from django.db.models.functions import Now
from django.utils import timezone

from mailops.outbox.models import QueueEntry
from mailops.transports.models import Stream

_SOON_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What one stream owes: all of it, what of that is due now, held, and given up within an hour if nothing moves."""

    stream: Stream
    owed: int = 0
    due: int = 0
    held: int = 0
    expiring: int = 0


def count_waiting(streams: Iterable[Stream]) -> list[Waiting]:
    """Return what each of `streams` owes, by name."""
    soon = timezone.now() + timedelta(seconds=_SOON_SECONDS)
    by_id = {stream.pk: stream for stream in streams}
    rows = (
        QueueEntry.objects.filter(stream__in=by_id)
        .values("stream_id")
        .annotate(
            owed=Count("pk"),
            due=Count("pk", filter=Q(due_at__lte=Now(), is_held=False)),
            held=Count("pk", filter=Q(is_held=True)),
            expiring=Count("pk", filter=Q(expires_at__lte=soon)),
        )
    ).values_list("stream_id", "owed", "due", "held", "expiring")
    counted = {
        pk: Waiting(stream=by_id[pk], owed=owed, due=due, held=held, expiring=expiring)
        for pk, owed, due, held, expiring in rows
    }
    found = [counted.get(pk) or Waiting(stream=stream) for pk, stream in by_id.items()]
    return sorted(found, key=lambda row: row.stream.name)
