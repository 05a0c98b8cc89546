"""Gathers what a digest tells of one week: the numbers of the reports, what stood still, what changed, what ended."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.digests.stopping import Stop, stops
from mailops.incidents.models import Incident, IncidentQuerySet
from mailops.reports.attention import matters
from mailops.reports.changes import Changed, Kind, changes
from mailops.reports.counting import total
from mailops.reports.matter import Matter
from mailops.reports.models import Objective
from mailops.reports.objectives import Score, Standing, score, standing
from mailops.reports.outcomes import Limits, Outcome
from mailops.reports.periods import Period, between
from mailops.reports.splitting import TOP, Share, split
from mailops.reports.subjects import SORTS, Subject
from mailops.reports.threshold_lines import limits_of
from mailops.signatures.listing import SAMPLE, Line, lines, ranked
from mailops.transports.models import Stream

STREAMS, CAMPAIGNS, REPLIES, CHANGES, INCIDENTS = 12, 8, 5, 8, 8  # told at most
LOOKED_AT = 50  # replies, the commonest
TOLD_ELSEWHERE = {Kind.PAUSE, Kind.CAMPAIGN, Kind.INCIDENT}
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class StreamTold:
    pk: int
    name: str
    now: Outcome
    before: Outcome
    kept: Score | None = None  # of its promise, in the week
    standing: Standing | None = None  # of its error budget, now
    is_there: bool = True  # not deleted since


@dataclass(frozen=True)
class Reply:
    line: Line
    is_new: bool  # no server ever said it before the week


@dataclass(frozen=True)
class Ended:
    campaign: Campaign
    outcome: Outcome  # of its whole time


@dataclass(frozen=True)
class Told:
    week: Period
    total: Outcome
    before: Outcome
    limits: Limits
    streams: list[StreamTold] = field(default_factory=list)
    more_streams: int = 0
    matters: list[Matter] = field(default_factory=list)  # what needs a person now
    stops: list[Stop] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    opened: int = 0
    closed: int = 0
    still_open: int = 0
    replies: list[Reply] = field(default_factory=list)
    changes: list[Changed] = field(default_factory=list)
    campaigns: list[Ended] = field(default_factory=list)
    more_campaigns: int = 0

    @property
    def is_quiet(self) -> bool:
        """Tell whether nothing happened at all, and nothing waits for a person."""
        parts = (
            self.matters,
            self.stops,
            self.incidents,
            self.replies,
            self.changes,
            self.campaigns,
        )
        return self.total == Outcome() and self.before == Outcome() and not any(parts)


def tell(week: Period, now: datetime) -> Told:
    """Gather the week; zones and words are those that are active, what stands still is as of `now`."""
    mail, before = total(week, {}), total(week.previous, {})
    streams = _streams(week, now)
    incidents = _incidents(week)
    ended = _ended(week)
    return Told(
        week=week,
        total=mail,
        before=before,
        limits=limits_of({}),
        streams=streams[:STREAMS],
        more_streams=max(len(streams) - STREAMS, 0),
        matters=matters(),
        stops=stops(week),
        incidents=list(incidents.worst_first()[:INCIDENTS]),
        opened=incidents.filter(opened_at__gte=week.start, opened_at__lt=week.end).count(),
        closed=incidents.filter(closed_at__gte=week.start, closed_at__lt=week.end).count(),
        still_open=incidents.filter(closed_at=None).count(),
        replies=_replies(week, mail, before),
        changes=[one for one in changes(week, None) if one.kind not in TOLD_ELSEWHERE],
        campaigns=[_outcome_of(one, now) for one in ended[:CAMPAIGNS]],
        more_campaigns=max(ended.count() - CAMPAIGNS, 0),
    )


def _streams(week: Period, now: datetime) -> list[StreamTold]:
    """Return each stream that sent, in the week or the one before, or promises something; the largest first."""
    previous = week.previous
    sums, sums_before = (_by_stream(period) for period in (week, previous))
    promises = {one.stream_id: one for one in Objective.objects.select_related("stream")}
    ids = {*sums, *sums_before, *promises}
    names = dict(Stream.objects.filter(pk__in=ids).values_list("pk", "name"))
    found = []
    for pk in ids:
        mail = sums[pk].outcome if pk in sums else _rest(week, pk, sums)
        earlier = sums_before[pk].outcome if pk in sums_before else _rest(previous, pk, sums_before)
        promise = promises.get(pk)
        if promise is None and mail == earlier == Outcome():
            continue
        found.append(
            StreamTold(
                pk,
                names.get(pk, f"deleted ({pk})"),
                mail,
                earlier,
                score(promise, week.start, week.end - _TICK) if promise else None,
                standing(promise, now) if promise else None,
                is_there=pk in names,
            )
        )
    return sorted(found, key=lambda one: (-one.now.answered, -one.before.answered, one.name))


def _by_stream(period: Period) -> dict[int, Share]:
    return {int(share.value): share for share in split({}, period, "stream_id") if share.value}


def _rest(period: Period, stream_id: int, largest: dict[int, Share]) -> Outcome:
    """Count a stream that is not among the largest; where those are all there are, it sent nothing."""
    return total(period, {"stream_id": stream_id}) if len(largest) >= TOP else Outcome()


def _incidents(week: Period) -> IncidentQuerySet:
    """Return those that were open at some time of the week, and those that are open now."""
    told = Q(closed_at=None) | Q(closed_at__gte=week.start, opened_at__lt=week.end)
    return Incident.objects.filter(told).select_related("threshold")


def _replies(week: Period, mail: Outcome, before: Outcome) -> list[Reply]:
    """Return what servers answered for the first time, or at least twice as often as before; the commonest first."""
    found = [
        Reply(line, line.signature.first_at >= week.start)
        for line in lines(ranked(week, {})[:LOOKED_AT], week, {})
        if not line.signature.is_other
    ]
    told = [one for one in found if one.is_new or _has_grown(one.line, mail, before)]
    return told[:REPLIES]


def _has_grown(line: Line, mail: Outcome, before: Outcome) -> bool:
    """Tell whether it came at least twice as often, and not only because more was sent."""
    more_mail = max(mail.answered / before.answered, 1.0) if before.answered else 1.0
    return line.n >= SAMPLE and line.n >= 2 * line.before * more_mail


def _ended(week: Period) -> "QuerySet[Campaign]":
    found = Campaign.objects.filter(
        state__in=Campaign.OVER, finished_at__gte=week.start, finished_at__lt=week.end
    )
    return found.select_related("stream").order_by("-finished_at", "-id")


def _outcome_of(campaign: Campaign, now: datetime) -> Ended:
    """Count it as its own page of numbers does: over its whole time."""
    lifetime = Subject(SORTS["campaign_id"], campaign.pk, str(campaign), campaign).lifetime(now)
    if lifetime is None:
        return Ended(campaign, Outcome())
    period = between(*lifetime, timezone.get_current_timezone())
    return Ended(campaign, total(period, {"campaign_id": campaign.pk}))
