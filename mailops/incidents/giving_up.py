"""Finds campaigns and streams of which much mail was given up in the last day, and nobody has judged it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from mailops.campaigns.models import Campaign
from mailops.incidents.models import Incident, Threshold
from mailops.outbox.ledger import bucket_of
from mailops.reports.given_up import LATELY, GivenUp, given_up
from mailops.reports.periods import QUARTER_HOUR
from mailops.transports.models import Stream


@dataclass(frozen=True)
class GivingUp:
    lost: GivenUp
    since: datetime

    @property
    def sentence(self) -> str:
        lost = self.lost
        return (
            f"{lost.n:,} of {lost.whole:,} messages of {lost.of} were given up within a day: {lost.words}. They did not "
            "arrive, and nothing more is tried. See by their replies why, mend that, then send them again from the list of messages."
        )


def giving_up(
    threshold: Threshold, kind: type[Campaign] | type[Stream], now: datetime
) -> Iterator[GivingUp]:
    """Yield those of a kind that lost `sample_floor` or more; what a person closed is counted from the next quarter hour."""
    day_ago = now - LATELY
    found = {one.of.pk: one for one in given_up(day_ago, now) if isinstance(one.of, kind)}
    judged = Incident.objects.filter(threshold=threshold, subject_id__in=found).closed_by_people()
    fresh = {pk: bucket_of(at) + QUARTER_HOUR for pk, at in judged.last_closes().items()}
    for pk, lost in found.items():
        since = max(day_ago, fresh.get(pk, day_ago))
        left = lost if since == day_ago else _left(lost, since, now)
        if left is not None and left.n >= threshold.sample_floor:
            yield GivingUp(left, since)


def _left(lost: GivenUp, since: datetime, now: datetime) -> GivenUp | None:
    """Return what was given up of the same since then, if that is much."""
    if since >= now:
        return None
    return next((one for one in given_up(since, now) if one.of == lost.of), None)
