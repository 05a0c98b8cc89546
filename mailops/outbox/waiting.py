"""Counts what waits: in streams, what a pause stops and what runs out if it lasts; in a campaign, what its hours hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q
from django.db.models.functions import Now
from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.outbox.ledger import fetch_dicts
from mailops.outbox.models import QueueEntry
from mailops.outbox.queues import due_queues
from mailops.transports.models import Stream

_SOON_SECONDS = 3600
COUNTED = 10_000  # at most, so that a page costs the same with a million
_IN_HOURS = Q(closes_at=None) | Q(closes_at__gt=Now())


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What one stream owes: all of it, what of that is due now, waits for its hours, is held, and given up within an hour if nothing moves."""

    stream: Stream
    owed: int = 0
    due: int = 0
    early: int = 0
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
            due=Count("pk", filter=Q(_IN_HOURS, due_at__lte=Now(), is_held=False)),
            early=Count(
                "pk", filter=Q(due_at__gt=Now(), closes_at__gt=Now(), attempts=0, is_held=False)
            ),
            held=Count("pk", filter=Q(is_held=True)),
            expiring=Count(
                "pk",
                filter=Q(expires_at__lte=soon, is_held=False)
                & ~Q(campaign__in=Campaign.objects.sparing()),
            ),
        )
    ).values_list("stream_id", "owed", "due", "early", "held", "expiring")
    counted = {
        pk: Waiting(stream=by_id[pk], owed=owed, due=due, early=early, held=held, expiring=expiring)
        for pk, owed, due, early, held, expiring in rows
    }
    found = [counted.get(pk) or Waiting(stream=stream) for pk, stream in by_id.items()]
    return sorted(found, key=lambda row: row.stream.name)


@dataclass(frozen=True, kw_only=True)
class WaitingForHours:
    """Messages of a campaign that no try was made for, since their hours are yet to come.

    `n` is counted up to COUNTED; `others` tells whether more may leave now.
    """

    n: int
    first_at: datetime
    last_at: datetime
    others: bool

    @property
    def is_bounded(self) -> bool:
        return self.n >= COUNTED


def waiting_for_hours(campaign_id: int) -> WaitingForHours | None:
    """Return what of a campaign waits for its hours; None where nothing does. One step into an index for each part."""
    (row,) = fetch_dicts(_WAITING_FOR_HOURS, {"campaign": campaign_id, "most": COUNTED})
    return WaitingForHours(**row) if row["n"] else None


# The statement's time, and not the clock's: with a time that may change while it runs no index can be asked.
_WAITING = """
    FROM outbox_queueentry
   WHERE campaign_id = %(campaign)s AND closes_at IS NOT NULL AND due_at > statement_timestamp() AND attempts = 0
     AND NOT is_held
"""
_WAITING_FOR_HOURS = f"""
    SELECT (SELECT count(*) FROM (SELECT {_WAITING} ORDER BY due_at LIMIT %(most)s) counted) AS n,
           (SELECT due_at {_WAITING} ORDER BY due_at LIMIT 1) AS first_at,
           (SELECT due_at {_WAITING} ORDER BY due_at DESC LIMIT 1) AS last_at,
           coalesce((SELECT due_at FROM outbox_queueentry
                      WHERE campaign_id = %(campaign)s AND closes_at > statement_timestamp() AND NOT is_held
                      ORDER BY due_at LIMIT 1) <= statement_timestamp(), FALSE) AS others
"""  # noqa: S608 - conditions of our own


@dataclass(frozen=True, kw_only=True)
class LastInLine:
    """The last message that is due of a campaign: since when it is owed, and when it is given up."""

    owed_at: datetime
    expires_at: datetime


def last_in_line(campaign: Campaign) -> LastInLine | None:
    """Return what is given up last of what is due of a running campaign; one step into an index for each of its queues."""
    queues = due_queues([campaign.stream_id])
    pools = [queue.pool for queue in queues if queue.campaign == campaign.pk]
    rows = fetch_dicts(
        """
        SELECT last.owed_at, last.expires_at FROM unnest(%s::text[]) AS queue (pool) CROSS JOIN LATERAL (
               SELECT e.owed_at, e.expires_at FROM outbox_queueentry e
                WHERE e.stream_id = %s AND coalesce(e.campaign_id, 0) = %s AND e.pool = queue.pool
                  AND e.worker_id IS NULL AND NOT e.is_held AND e.due_at <= statement_timestamp()
                ORDER BY e.due_at DESC, e.message_id DESC LIMIT 1) last
         ORDER BY last.expires_at DESC LIMIT 1
        """,
        [pools, campaign.stream_id, campaign.pk],
    )
    return LastInLine(**rows[0]) if rows else None
