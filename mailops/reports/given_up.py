"""Finds mail that was given up lately and not sent again: no rate of what was answered shows it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from mailops.campaigns.models import Campaign
from mailops.outbox.models import EventKind
from mailops.reports.models import Figure
from mailops.reports.periods import Period
from mailops.transports.models import Stream

GIVEN_UP = (EventKind.EXPIRED, EventKind.FAILED)  # each has a status of the same name
ANSWERED = (EventKind.ACCEPTED, EventKind.BOUNCED)
LATELY = timedelta(days=1)
LOOKED_AT = 50  # campaigns and streams, those that lost the most
MUCH = 2  # percent: a few mailboxes are always full for as long as a stream waits


@dataclass(frozen=True)
class GivenUp:
    """What was given up lately, by kind: of all of a campaign, or of a stream's single messages of that time."""

    of: Campaign | Stream
    kinds: Mapping[str, int]
    whole: int

    @property
    def n(self) -> int:
        return sum(self.kinds.values())

    @property
    def words(self) -> str:
        return ", ".join(f"{n:,} {kind}" for kind, n in self.kinds.items() if n)

    @property
    def status(self) -> str:
        """The status of most of them."""
        return max(self.kinds, key=lambda kind: self.kinds[kind])


def given_up_lately(now: datetime, *, most: int) -> list[GivenUp]:
    """Return that of which much was given up in the last day, as `given_up` does."""
    return given_up(now - LATELY, now, most=most)


def given_up(since: datetime, until: datetime, *, most: int = LOOKED_AT) -> list[GivenUp]:
    """Return that of which much was given up, the most first, `most` at most; canceled campaigns are left out."""
    counted = Figure.objects.events(*GIVEN_UP, *ANSWERED).happened_in(Period(since, until, UTC))
    found: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    for campaign_id, stream_id, kind, n in counted.summed("campaign_id", "stream_id", "kind"):
        found[(campaign_id, 0) if campaign_id else (0, stream_id)][kind] += n
    much = {ids: kinds for ids, kinds in found.items() if 100 * _lost(kinds) > MUCH * kinds.total()}
    chosen = sorted(much, key=lambda ids: -_lost(much[ids]))[:LOOKED_AT]
    told = (one for one in _named(chosen, much) if 100 * one.n > MUCH * one.whole)
    return list(islice(told, most))


def _lost(kinds: Mapping[str, int]) -> int:
    return sum(kinds.get(kind, 0) for kind in GIVEN_UP)


def _named(
    chosen: list[tuple[int, int]], found: Mapping[tuple[int, int], Counter[str]]
) -> Iterator[GivenUp]:
    campaigns = Campaign.objects.exclude(state=Campaign.State.CANCELED).in_bulk(
        [campaign_id for campaign_id, _ in chosen]
    )
    streams = Stream.objects.in_bulk([stream_id for _, stream_id in chosen])
    standings = _standings(list(campaigns))
    for campaign_id, stream_id in chosen:
        kinds = found[campaign_id, stream_id]
        lost: dict[str, int] = {kind.value: kinds[kind] for kind in GIVEN_UP}
        if campaign := campaigns.get(campaign_id):
            standing = standings[campaign_id]
            still = {kind: min(n, standing[kind]) for kind, n in lost.items()}
            again = sum(lost.values()) - sum(still.values())  # each is in the whole twice
            # of all of it: what waits for a full mailbox for days is given up when nothing else is answered any more
            yield GivenUp(campaign, still, max(kinds.total() - again, standing.total()))
        elif stream := streams.get(stream_id):
            yield GivenUp(stream, lost, kinds.total())


def _standings(campaign_ids: list[int]) -> Mapping[int, Counter[str]]:
    """Return how many messages of each campaign are in each status."""
    found: dict[int, Counter[str]] = defaultdict(Counter)
    counted = Figure.objects.statuses().filter(campaign_id__in=campaign_ids)
    for campaign_id, status, n in counted.summed("campaign_id", "kind"):
        found[campaign_id][status] = n
    return found
