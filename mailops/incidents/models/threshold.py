"""When something counts as trouble, and how bad it is."""

from datetime import timedelta
from decimal import Decimal
from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Now

from mailops.accounts.meanwhile import mark_of_fields
from mailops.incidents.models.watch import GAP


class SubjectKind(models.TextChoices):
    STREAM = "stream", "Stream"
    TRANSPORT = "transport", "Transport"
    CAMPAIGN = "campaign", "Campaign"
    DOMAIN = "domain", "Domain"
    MAILBOX = "mailbox", "Mailbox"  # that bounces come to


class Level(models.TextChoices):
    WARN = "warn", "Warn"
    ACT = "act", "Act"
    STOP = "stop", "Stop"

    @property
    def rank(self) -> int:
        return list(Level).index(self)

    @property
    def severity(self) -> str:
        """The word of the severity pills."""
        return "warning" if self is Level.WARN else "critical"


def span(minutes: int) -> str:
    """Return so many minutes in words."""
    if minutes % 60:
        return f"{minutes} minutes"
    return "1 hour" if minutes == 60 else f"{minutes // 60} hours"


def _percent(level: Decimal | None) -> str:
    return "never" if level is None else f"{level.normalize():f} %"


_ASKED = "once DNS is asked: every hour, or by “Verify now”"


class ThresholdQuerySet(models.QuerySet["Threshold"]):
    def failing(self) -> Self:
        """Keep those that mailops has tried to look at for a while, and failed each time."""
        return self.filter(is_enabled=True, failing_since_at__lt=Now() - GAP)


class Threshold(models.Model):
    """When something counts as trouble, and what is done about it by itself."""

    class Measure(models.TextChoices):
        BOUNCES = "bounces", "Bounce rate"  # bounced and returned of all that was answered
        COMPLAINTS = "complaints", "Complaint rate"  # complained of all that was accepted
        FAULT = "fault", "Stopped by itself"  # by a fault of ours, a restore, a gate: by no person
        BREAKER = "breaker", "Not reachable"  # the breaker of a transport is open
        BURN = "burn", "Objective in danger"  # the error budget of a stream burns too fast
        UNSERVED = "unserved", "Nobody sends"  # mail is due, and no process of its kind lives
        GIVEN_UP = (
            "given_up",
            "Mail given up",
        )  # much of it expired or failed, and nothing is tried any more
        RECORDS = "records", "Records broken"  # of a domain, that were well before
        LISTED = "listed", "On lists of spam senders"  # a domain, or what it sends from; newly
        UNANSWERED = "unanswered", "Name servers silent"  # what a domain publishes is not known
        UNREAD = "unread", "Can't be read"
        SILENT = "silent", "Webhook silent"  # mail is accepted, and nothing is told of it

    # what people set
    SETTINGS = (
        "is_enabled",
        "window_minutes",
        "sample_floor",
        "warn",
        "act",
        "stop",
        "pauses",
        "why",
    )

    measure = models.CharField(max_length=12, choices=Measure.choices)
    subject_kind = models.CharField(max_length=10, choices=SubjectKind.choices)
    is_enabled = models.BooleanField(default=True)
    window_minutes = models.PositiveIntegerField(default=60)
    sample_floor = models.PositiveIntegerField(default=100)  # fewer messages say nothing
    # in percent; null: this level is never reached
    warn = models.DecimalField(max_digits=6, decimal_places=3, null=True, blank=True)
    act = models.DecimalField(max_digits=6, decimal_places=3, null=True, blank=True)
    stop = models.DecimalField(max_digits=6, decimal_places=3, null=True, blank=True)
    pauses = models.BooleanField(default=False)  # at `stop`, the stream
    why = models.TextField(blank=True)  # the reason of these numbers
    failing_since_at = models.DateTimeField(null=True)  # each look at it has failed since then

    objects = ThresholdQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["measure", "subject_kind"], name="threshold_once")
        ]

    def __str__(self) -> str:
        kind = self.get_subject_kind_display()
        measured = self.get_measure_display()
        return f"{measured} of a {kind.lower()}" if self.is_rate else f"{kind}: {measured.lower()}"

    @property
    def mark(self) -> str:
        """What tells its present settings from others."""
        return mark_of_fields(self, self.SETTINGS)

    @property
    def is_rate(self) -> bool:
        return self.measure in {self.Measure.BOUNCES, self.Measure.COMPLAINTS}

    @property
    def counts_messages(self) -> bool:
        """Whether fewer messages than its least number say nothing."""
        return self.is_rate or self.measure in {
            self.Measure.GIVEN_UP,
            self.Measure.BURN,
            self.Measure.SILENT,
        }

    @property
    def begins_anew(self) -> bool:
        """Whether what a person judged, and closed, is counted no more; anything else is there or not."""
        return self.is_rate or self.measure in {self.Measure.GIVEN_UP, self.Measure.SILENT}

    @property
    def seen_when(self) -> str:
        """Say after how long it is seen, where it is no rate."""
        if self.measure == self.Measure.GIVEN_UP:
            return f"{self.sample_floor:,} messages or more over the last day"
        if self.measure == self.Measure.SILENT:
            return f"of {self.sample_floor:,} messages or more, an hour after the one in which they were accepted"
        if self.measure == self.Measure.BURN:
            return f"of {self.sample_floor:,} messages or more, over 1 hour, and over 6 hours"
        patience: dict[str, str] = {
            self.Measure.RECORDS: _ASKED,
            self.Measure.LISTED: _ASKED,
            self.Measure.UNSERVED: "after 2 minutes",
            self.Measure.UNREAD: "after 10 minutes",
            self.Measure.UNANSWERED: "after 1 hour",
        }
        return patience.get(self.measure, "at once")

    @property
    def to_do(self) -> str:
        """Say what a person does about it."""
        told: dict[str, str] = {
            self.Measure.BOUNCES: "See what servers answered, and what changed before. Where a list or a version "
            "brought it, pause what sends it, mend that, then resume; addresses that don't exist are suppressed by themselves.",
            self.Measure.COMPLAINTS: "See what changed before: people complain of mail they did not ask for. Pause "
            "what sends it, take out whoever never agreed, and try the way to unsubscribe; then resume.",
            self.Measure.FAULT: "Mend what it names, then resume.",
            self.Measure.BREAKER: "It is tried again by itself. Test the connection on the transport's page: it says at "
            "which step it ends.",
            self.Measure.BURN: "See on the stream's page what waits, and what servers answered: resume what is "
            "paused, or raise the limit that holds mail back.",
            self.Measure.UNSERVED: "Ask whoever runs mailops to start what sends: what is due leaves by itself then.",
            self.Measure.GIVEN_UP: "See which messages were given up, and why; mend that, then send them again.",
            self.Measure.RECORDS: "Mend at your DNS provider what the domain's page names, then press “Verify now” there.",
            self.Measure.LISTED: "See what changed before, and what servers answered, to find what brought it there.",
            self.Measure.SILENT: "Compare the webhook's address and key with what the provider has, and let it send a test.",
            self.Measure.UNANSWERED: "Ask whoever runs the domain's name servers, then press “Verify now” on its page.",
            self.Measure.UNREAD: "Mend its address or log-in on the mailbox's page, then press “Test now” there.",
        }
        return told.get(self.measure, "")

    @property
    def window(self) -> timedelta:
        """How far it looks back; only a rate's is set by people."""
        fixed: dict[str, timedelta] = {
            self.Measure.GIVEN_UP: timedelta(days=1),
            self.Measure.BURN: timedelta(hours=6),
            self.Measure.SILENT: timedelta(days=7),
        }
        return fixed.get(self.measure, timedelta(minutes=self.window_minutes))

    @property
    def calm(self) -> timedelta:
        """How long all must be well before an incident closes by itself."""
        # DNS is asked again a quarter of an hour after it changed: two answers
        is_slow = self.is_rate or self.subject_kind == SubjectKind.DOMAIN
        return timedelta(minutes=30 if is_slow else 5)

    @property
    def window_shown(self) -> str:
        return span(self.window_minutes)

    @property
    def warn_shown(self) -> str:
        return _percent(self.warn)

    @property
    def act_shown(self) -> str:
        return _percent(self.act)

    @property
    def stop_shown(self) -> str:
        return _percent(self.stop)

    def level_of(self, bad: int, whole: int) -> Level | None:
        """Return the highest level that `bad` of `whole` reach; counted exactly, since a rate may be the limit itself."""
        reached = [
            level
            for level in Level
            if (limit := getattr(self, level.value)) is not None and 100 * bad >= limit * whole
        ]
        return reached[-1] if reached and whole else None
