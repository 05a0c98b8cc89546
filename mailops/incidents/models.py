"""Thresholds over counts, the incidents they open, and who is told."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models.functions import Now

from mailops.accounts.auditing import SYSTEM
from mailops.accounts.meanwhile import mark_of_fields
from mailops.campaigns.models import Campaign
from mailops.lib.sealed import SealedColumns
from mailops.lib.secrets import Secret
from mailops.outbox.models import OPEN_STATUSES, Status
from mailops.transports.models import Stream, Transport

LATELY = timedelta(days=8)  # an alert that failed earlier is no news
SWITCHED_OFF = (
    "The channel was switched off."  # what became of the alerts that it had not been told
)
GAP = timedelta(minutes=2)  # without a look for so long, nobody looks: there is one each 10 seconds
_NOW = Now()
SLOW = timedelta(minutes=15)  # an alert that was not told for longer helps nobody meanwhile
NOT_ARRIVED = (
    Status.BOUNCED, Status.FAILED, Status.SUPPRESSED, Status.EXPIRED, Status.UNCERTAIN, Status.CANCELED,
)  # fmt: skip


class SubjectKind(models.TextChoices):
    STREAM = "stream", "Stream"
    TRANSPORT = "transport", "Transport"
    CAMPAIGN = "campaign", "Campaign"


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
    def begins_anew(self) -> bool:
        """Whether what a person judged, and closed, is counted no more; anything else is there or not."""
        return self.is_rate or self.measure == self.Measure.GIVEN_UP

    @property
    def seen_when(self) -> str:
        """Say after how long it is seen, where it is no rate."""
        if self.measure == self.Measure.GIVEN_UP:
            return "over the last day"
        if self.measure == self.Measure.BURN:
            return "over 1 hour, and over 6 hours"
        return "after 2 minutes" if self.measure == self.Measure.UNSERVED else "at once"

    @property
    def window(self) -> timedelta:
        return timedelta(minutes=self.window_minutes)

    @property
    def calm(self) -> timedelta:
        """How long all must be well before an incident closes by itself."""
        return timedelta(minutes=30 if self.is_rate else 5)

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


class WatchQuerySet(models.QuerySet["Watch"]):
    def watching(self, now: datetime | Now = _NOW, *, since: datetime | None = None) -> Self:
        """Keep the watch while it looks, and has looked since `since` without a gap; a time to come tells of a wrong clock.

        All by the database's clock, which is `now`.
        """
        looking = self.filter(looked_at__gt=now - GAP, looked_at__lt=now + GAP)
        return looking.filter(since_at__lte=since) if since else looking

    def begin(self) -> None:
        """Let somebody look from now on, where nobody has yet: that nobody ever does is seen by it."""
        self.get_or_create(pk=1, defaults={"since_at": Now(), "looked_at": Now()})


class Watch(models.Model):
    """When the thresholds were looked at last, or the tables were made, and since when without a gap; one row, or none."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    since_at = models.DateTimeField()
    looked_at = models.DateTimeField()

    objects = WatchQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(id=1), name="watch_is_one")
        ]


class IncidentQuerySet(models.QuerySet["Incident"]):
    def open(self) -> Self:
        """Keep those nobody and nothing has closed."""
        return self.exclude(state=Incident.State.CLOSED)

    def closed_by_people(self) -> Self:
        """Keep those that somebody judged; one that closed because its trouble was no longer seen is judged by nobody."""
        closes = IncidentNote.objects.filter(
            incident=models.OuterRef("pk"), kind=IncidentNote.Kind.CLOSED
        )
        return self.filter(models.Exists(closes.exclude(author=None, author_label=SYSTEM)))

    def last_closes(self) -> dict[int, datetime]:
        """Return by subject when its last one was closed."""
        return dict(self.values_list("subject_id").annotate(models.Max("closed_at")))

    def worst_first(self) -> Self:
        """Order by: not closed, not acknowledged, highest level, newest."""
        return self.annotate(
            rank=models.Case(
                models.When(state="open", then=0),
                models.When(state="acknowledged", then=1),
                default=2,
            ),
            weight=models.Case(
                models.When(state="closed", then=0), models.When(level="warn", then=0), default=-1
            ),
        ).order_by("rank", "weight", "-opened_at", "-id")


class Incident(models.Model):
    """One thing that is wrong with one stream, transport or campaign, from the first sign to its close."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"  # somebody is on it
        CLOSED = "closed", "Closed"

    threshold = models.ForeignKey(Threshold, on_delete=models.PROTECT, related_name="incidents")
    subject_kind = models.CharField(max_length=10, choices=SubjectKind.choices)
    subject_id = models.BigIntegerField()
    subject_label = models.CharField(max_length=254)
    level = models.CharField(max_length=5, choices=Level.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    owner = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    sentence = models.TextField()
    evidence = models.JSONField(default=dict)
    opened_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())  # the trouble was still there
    calm_since_at = models.DateTimeField(null=True)  # all has been well since then
    closed_at = models.DateTimeField(null=True)
    close_reason = models.TextField(blank=True)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["threshold", "subject_id"],
                condition=~models.Q(state="closed"),
                name="one_open_incident",
            )
        ]
        indexes: ClassVar = [
            # since when a measurement begins anew
            models.Index(
                fields=["threshold", "subject_id", "-closed_at"], name="incident_by_subject"
            ),
            models.Index(fields=["-opened_at"], name="incident_by_time"),  # the list
        ]

    def __str__(self) -> str:
        return f"{self.threshold.get_measure_display()}: {self.subject_label}"

    @property
    def is_open(self) -> bool:
        return self.state != self.State.CLOSED

    @property
    def is_acknowledged(self) -> bool:
        return self.state == self.State.ACKNOWLEDGED

    @property
    def severity(self) -> str:
        return Level(self.level).severity

    @property
    def tone(self) -> str:
        """The color of what tells of it."""
        return "warn" if self.level == Level.WARN else "bad"

    @property
    def counted(self) -> str:
        return self._counted(self.evidence.get("numbers", {}))

    @property
    def counted_before(self) -> str:
        return self._counted(self.evidence.get("numbers", {}).get("before", {}))

    def _counted(self, numbers: dict[str, int]) -> str:
        if not numbers.get("whole"):
            return "nothing was sent"
        return f"{numbers.get('bad', 0):,} of {numbers.get('whole', 0):,}"

    @property
    def changes(self) -> list[dict[str, Any]]:
        """Return what changed before it opened, with real times."""
        told = self.evidence.get("changes", [])
        return [{**change, "at": datetime.fromisoformat(change["at"])} for change in told]

    def subject(self) -> Stream | Transport | Campaign | None:
        """Return what it is about, or None if that is gone."""
        kinds: dict[str, type[models.Model]] = {
            SubjectKind.STREAM: Stream,
            SubjectKind.TRANSPORT: Transport,
            SubjectKind.CAMPAIGN: Campaign,
        }
        found: Any = kinds[self.subject_kind]._default_manager.filter(pk=self.subject_id).first()  # noqa: SLF001
        return found  # type: ignore[no-any-return]

    def stoppable(self) -> Stream | Transport | None:
        """Return what can be paused because of it: the stream of a campaign, but where that stopped by itself."""
        subject = self.subject()
        if isinstance(subject, Campaign) and self.threshold.measure == Threshold.Measure.FAULT:
            return None
        return subject.stream if isinstance(subject, Campaign) else subject


class IncidentNote(models.Model):
    """One entry of an incident's timeline."""

    class Kind(models.TextChoices):
        OPENED = "opened", "Opened"
        RAISED = "raised", "Got worse"
        CALMED = "calmed", "All well again"
        PAUSED = "paused", "Paused"
        RESUMED = "resumed", "Resumed"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        ASSIGNED = "assigned", "Owner"
        NOTE = "note", "Note"
        CLOSED = "closed", "Closed"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notes")
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.NOTE)
    text = models.TextField()
    # null: mailops
    author = models.ForeignKey(
        "accounts.User", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    author_label = models.CharField(max_length=254, default=SYSTEM)  # stays when the user is gone
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes: ClassVar = [models.Index(fields=["incident", "id"], name="note_by_incident")]

    @property
    def tone(self) -> str:
        """The class of its entry on the timeline."""
        bad = {self.Kind.OPENED, self.Kind.RAISED}
        good = {self.Kind.CLOSED, self.Kind.CALMED, self.Kind.RESUMED}
        return "bad" if self.kind in bad else "ok" if self.kind in good else "quiet"


class NotificationChannel(SealedColumns):
    """Where incidents are told of."""

    sealed_columns = ("sealed_url",)

    class Kind(models.TextChoices):
        WEBHOOK = "webhook", "Webhook"  # a JSON POST
        MAIL = "mail", "Mail"  # a message of ours, over a stream of ours

    # what its form changes, beside a webhook's address
    SETTINGS = ("name", "is_enabled", "least_level", "recipient", "stream_id", "identity_id")

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    is_enabled = models.BooleanField(default=True)
    least_level = models.CharField(max_length=5, choices=Level.choices, default=Level.WARN)
    host = models.CharField(max_length=253, blank=True)  # of the webhook, for people
    sealed_url = models.BinaryField(blank=True, default=b"")  # such addresses hold a token
    recipient = models.CharField(max_length=320, blank=True)
    stream = models.ForeignKey(
        "transports.Stream", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    identity = models.ForeignKey(
        "domains.Identity", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    @property
    def mark(self) -> str:
        """What tells its present settings from others."""
        return mark_of_fields(self, self.SETTINGS)

    @property
    def is_webhook(self) -> bool:
        return self.kind == self.Kind.WEBHOOK

    @property
    def place(self) -> str:
        return f"https://{self.host}/…" if self.is_webhook else self.recipient

    def set_url(self, url: str, host: str) -> None:
        """Keep the webhook's address encrypted; the row must have its id."""
        self.host = host
        self.seal_into("sealed_url", Secret(url))

    def url(self) -> str:
        """Return the webhook's address; raises Unsealable."""
        return self.open_from("sealed_url").reveal()

    @property
    def sealed_endpoint(self) -> str:
        return self.host


class NoticeQuerySet(models.QuerySet["Notice"]):
    def not_arrived(self) -> Self:
        """Keep those that were given up, whose mail went astray, or that wait, or whose mail does, for too long."""
        waits = models.Q(done_at=None) | models.Q(message__status__in=OPEN_STATUSES)
        return self.filter(
            models.Q(done_at__isnull=False, has_succeeded=False)
            | models.Q(message__status__in=NOT_ARRIVED)
            | models.Q(waits, created_at__lt=Now() - SLOW)
        )

    def in_trouble(self) -> Self:
        """Keep those of late that did not reach a channel in use; what has reached it since shows that it is heard.

        What a channel was not told because somebody switched it off is none of them.
        """
        later = Notice.objects.filter(
            channel=models.OuterRef("channel"), pk__gt=models.OuterRef("pk"), has_succeeded=True
        ).exclude(message__status__in=[*NOT_ARRIVED, *OPEN_STATUSES])
        late = self.not_arrived().filter(created_at__gt=Now() - LATELY, channel__is_enabled=True)
        let_go = NoticeAttempt.objects.filter(notice=models.OuterRef("pk"), result=SWITCHED_OFF)
        return late.exclude(models.Exists(later) | models.Exists(let_go))


class Notice(models.Model):
    """One occasion to tell one channel, tried until it is told or given up."""

    class Occasion(models.TextChoices):
        OPENED = "opened", "Opened"
        RAISED = "raised", "Got worse"
        CLOSED = "closed", "Closed"
        TEST = "test", "Test"

    channel = models.ForeignKey(
        NotificationChannel, on_delete=models.CASCADE, related_name="notices"
    )
    # null: a test
    incident = models.ForeignKey(
        Incident, null=True, on_delete=models.CASCADE, related_name="notices"
    )
    occasion = models.CharField(max_length=6, choices=Occasion.choices)
    level = models.CharField(max_length=5, choices=Level.choices, default=Level.WARN)
    due_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True)  # told, or given up
    has_succeeded = models.BooleanField(default=False)  # the webhook took it, or it is a message
    # of a mail channel: what became of it is told there
    message = models.ForeignKey(
        "outbox.Message", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = NoticeQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["channel", "incident", "occasion", "level"], name="notice_once"
            )
        ]
        indexes: ClassVar = [
            # the tick's pull
            models.Index(fields=["due_at"], name="notice_due", condition=models.Q(done_at=None)),
            models.Index(fields=["-created_at"], name="notice_by_time"),  # what failed of late
        ]

    @property
    def is_waiting(self) -> bool:
        return self.done_at is None

    @property
    def may_arrive(self) -> bool:
        """Whether it is told still, or its mail on its way."""
        return self.message.is_open if self.message is not None else self.is_waiting

    @property
    def pill(self) -> str:
        """Return what its pill says: how its message stands, or what the webhook made of it."""
        if self.message is not None:
            return str(self.message.status)
        if self.is_waiting:
            return "pending"
        return "told" if self.has_succeeded else "failed"

    @property
    def sentence(self) -> str:
        """Say why it did not arrive, or nothing."""
        if self.message is not None:
            has_not = self.may_arrive or self.message.status in NOT_ARRIVED
            return self.message.sentence if has_not else ""
        last = None if self.has_succeeded else self.attempts.order_by("-id").first()
        return last.result if last else ""


class NoticeAttempt(models.Model):
    """One try to tell a channel, and what came of it."""

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="attempts")
    at = models.DateTimeField(db_default=Now())
    has_succeeded = models.BooleanField()
    result = models.TextField()
