"""What channels were told of an incident, and what became of it."""

from datetime import timedelta
from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Now

from mailops.incidents.models.channel import NotificationChannel
from mailops.incidents.models.incident import Incident
from mailops.incidents.models.threshold import Level
from mailops.outbox.models import OPEN_STATUSES, Status

LATELY = timedelta(days=8)  # an alert that failed earlier is no news
SWITCHED_OFF = (
    "The channel was switched off."  # what became of the alerts that it had not been told
)
SLOW = timedelta(minutes=15)  # an alert that was not told for longer helps nobody meanwhile
NOT_ARRIVED = (
    Status.BOUNCED, Status.FAILED, Status.SUPPRESSED, Status.EXPIRED, Status.UNCERTAIN, Status.CANCELED,
)  # fmt: skip


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
        OPEN = "open", "Open already"  # when the channel was made, switched on or asked for more
        RAISED = "raised", "Got worse"
        AGAIN = "again", "Stopped again"  # what somebody let go on, as often as that happens
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
                fields=["channel", "incident", "occasion", "level"],
                condition=~models.Q(occasion="again"),
                name="notice_once",
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
