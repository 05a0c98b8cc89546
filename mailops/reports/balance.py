"""What became of a campaign's messages, all of them."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from mailops.accounts.models import AuditEntry
from mailops.campaigns.models import Campaign
from mailops.dispatch.holding import silent_ways, spent_ways, stopped_ways
from mailops.lib.enumerating import enumerated
from mailops.lib.templatetags.times import duration
from mailops.outbox.ledger import bucket_of
from mailops.outbox.models import OPEN_STATUSES, EventKind, Status
from mailops.outbox.waiting import WaitingForHours, last_in_line, waiting_for_hours
from mailops.reports.models import Figure
from mailops.reports.periods import QUARTER_HOUR, Period
from mailops.transports.models import Stream

TELLING = timedelta(seconds=30)  # from when mail is owed until the pace says what becomes of it
# what comes of sending; what is suppressed, canceled or given up was not sent, and says nothing of how fast it goes
ANSWERS = (EventKind.ACCEPTED, EventKind.BOUNCED, EventKind.FAILED, EventKind.UNCERTAIN)


@dataclass(frozen=True)
class Balance:
    """Planned against the sum over all statuses; the two must agree once the audience is read."""

    planned: int | None  # None: the audience is still being read
    by_status: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.by_status.values())

    @property
    def open(self) -> int:
        return sum(self.by_status.get(status, 0) for status in OPEN_STATUSES)

    @property
    def closed(self) -> int:
        return self.total - self.open

    @property
    def closes(self) -> bool:
        """Whether no message is missing and none too many."""
        return self.planned == self.total

    @property
    def rows(self) -> list[tuple[str, int]]:
        """Each status that holds messages, and how many, in the order of the way of a message."""
        return [(status.value, n) for status in Status if (n := self.by_status.get(status, 0))]


def balance(campaign: Campaign) -> Balance:
    """Return where the campaign's messages are now, exactly."""
    found = Figure.objects.statuses().filter(campaign_id=campaign.pk).by_kind()
    return Balance(campaign.planned, dict(found))


@dataclass(frozen=True)
class Pace:
    """How fast a campaign goes."""

    per_minute: float
    open: int
    retrying: int = 0  # of the open ones: deferred until their next attempt
    held: int = 0  # of the open ones: a person must release them
    hours: WaitingForHours | None = None  # of the open ones: those whose hours are yet to come
    too_late: int = 0  # of the open ones: those whose time will be over before their turn
    given_up_at: datetime | None = None  # the last of them
    waits_for: str = ""  # what the transports must do without which nothing leaves
    goes_on_at: datetime | None = None  # where its transports have sent their number of today
    is_whole: bool = True  # its audience is read, so that the open ones are all that it owes

    @property
    def waiting(self) -> int:
        """How many wait for their hours: counted, or all that wait for nothing else."""
        if self.hours is None:
            return 0
        if self.hours.is_bounded and not self.hours.others:
            return self.open - self.retrying - self.held
        return self.hours.n

    @property
    def in_line(self) -> int:
        """How many were not tried yet and wait for nothing but their turn."""
        return max(self.open - self.retrying - self.held - self.waiting, 0)

    @property
    def words(self) -> str:
        """Say how fast it goes, and how long it will take where that is known."""
        if self.waits_for:
            return f"waits for {self.waits_for}"
        if self.goes_on_at:
            return "waits for midnight UTC: its transports have sent their number of today"
        if self.is_whole and self.open and self.retrying == self.open:
            return f"the last {self.open:,} wait for another try"
        if self.hours is not None and not self.hours.others:
            return self._waiting_words
        if not self.per_minute:
            words = "waiting for the first answers" if self.open else ""
        else:
            speed = (
                f"{self.per_minute:,.0f} a minute" if self.per_minute >= 1 else "under one a minute"
            )
            is_known = self.is_whole and self.open
            words = f"{speed} · {duration(self.seconds_left)} left" if is_known else speed
        return f"{words} · {self._waiting_words}" if self.hours is not None else words

    @property
    def _waiting_words(self) -> str:
        if self.hours is None:
            return ""
        more = " or more" if self.hours.is_bounded and self.hours.others else ""
        wait = "waits for its hours" if self.waiting == 1 else "wait for their hours"
        until = duration(self.hours.first_at - timezone.now())
        return f"{self.waiting:,}{more} {wait}, which begin in {until}"

    @property
    def seconds_left(self) -> int | None:
        """How long those take that may leave; when the others' hours begin is known better than how long they take."""
        return round(60 * (self.open - self.waiting) / self.per_minute) if self.per_minute else None


def pace(campaign: Campaign, standing: Balance, now: datetime | None = None) -> Pace:
    """Return the rate of answers in this quarter hour and the one before."""
    now = now or timezone.now()
    since = bucket_of(now) - QUARTER_HOUR
    period = Period(since, now, now.tzinfo or timezone.get_current_timezone())
    answered = sum(
        Figure.objects.filter(campaign_id=campaign.pk)
        .events(*ANSWERS)
        .happened_in(period)
        .by_kind()
        .values()
    )
    began = max(since, campaign.started_at or since)
    if answered and standing.open:
        began += _stood_still(campaign, began)
    minutes = max((now - began).total_seconds(), 1) / 60
    found = Pace(
        answered / minutes,
        standing.open,
        standing.by_status.get(Status.DEFERRED, 0),
        standing.by_status.get(Status.HELD, 0),
        waiting_for_hours(campaign.pk) if campaign.hours.are_set else None,
        waits_for=_waits_for(campaign.stream) if standing.open else "",
        goes_on_at=_next_day(now) if standing.open and spent_ways(campaign.stream) else None,
        is_whole=campaign.planned is not None,
    )
    return _with_the_late(found, campaign, answered, began, now)


def _next_day(now: datetime) -> datetime:
    """Return when the numbers of a day begin anew."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(
        days=1
    )


def _waits_for(stream: Stream) -> str:
    """Say what must happen before anything of a stream leaves; a day's number that is spent has its own words."""
    if stopped := stopped_ways(stream):
        return f"{enumerated(str(one) for one in stopped)} to go on"
    if silent := silent_ways(stream):
        return f"{enumerated(str(one) for one in silent)} to answer"
    return ""


def _stood_still(campaign: Campaign, since: datetime) -> timedelta:
    """Return for how long it was paused since then, up to its last resume."""
    trail = AuditEntry.objects.about(Campaign, [campaign.pk]).filter(
        verb__in=("campaign.pause", "campaign.resume"), at__gte=since
    )
    paused_at, still = since, timedelta()
    for verb, at in trail.order_by("at", "pk").values_list("verb", "at"):
        if verb == "campaign.resume":
            still += at - paused_at
        paused_at = at
    return still


def _with_the_late(
    pace: Pace, campaign: Campaign, answered: int, since: datetime, now: datetime
) -> Pace:
    """Tell how many won't have had their turn when the time of what is due is over."""
    if campaign.retime_from is not None:  # it is about to begin anew
        return pace
    last = last_in_line(campaign) if answered and pace.in_line else None
    if last is None:
        return pace
    for_long = now - max(since, last.owed_at)  # what is sent again was not owed before
    if for_long < TELLING:
        return pace
    goes_on_at = pace.goes_on_at or now
    in_time = int(answered * max(last.expires_at - goes_on_at, timedelta()) / for_long)
    late = max(pace.in_line - in_time, 0)
    return replace(pace, too_late=late, given_up_at=last.expires_at)
