"""Lays a campaign beside those that left through the same stream before it."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC

from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.reports.outcomes import KINDS, Outcome
from mailops.reports.periods import Period, between, hour_of
from mailops.reports.sources import figures

EARLIER = 4


@dataclass(frozen=True)
class Compared:
    campaign: Campaign
    outcome: Outcome
    is_this: bool


def beside_earlier(campaign: Campaign) -> list[Compared]:
    """Return the campaign and the few before it, the newest first; nothing where it is the first, or did not start."""
    if campaign.started_at is None:
        return []
    rows = list(
        Campaign.objects.filter(
            stream_id=campaign.stream_id, started_at__lte=campaign.started_at
        ).order_by("-started_at", "-pk")[: EARLIER + 1]
    )
    since = rows[-1].started_at
    if len(rows) < 2 or since is None:
        return []
    period = between(hour_of(since, UTC), timezone.now(), timezone.get_current_timezone())
    outcomes = _outcomes(campaign.stream_id, [row.pk for row in rows], period)
    return [Compared(row, outcomes[row.pk], row.pk == campaign.pk) for row in rows]


def _outcomes(stream_id: int, ids: list[int], period: Period) -> dict[int, Outcome]:
    """Return what became of each campaign's mail, all of which left through the stream."""
    found: dict[int, dict[str, int]] = defaultdict(dict)
    counted = figures({"stream_id": stream_id}, (period.start, period.end), by="campaign_id")
    chosen = counted.of_cohorts(period).filter(campaign_id__in=ids)
    for campaign_id, kind, n in chosen.events(*KINDS).summed("campaign_id", "kind"):
        found[campaign_id][kind] = n
    return {campaign_id: Outcome.of(found[campaign_id]) for campaign_id in ids}
