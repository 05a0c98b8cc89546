"""The weekly digest: who gets it, which way it goes, and what became of each."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from mailops.incidents.models import LATELY, NOT_ARRIVED

DOUBTS = 3  # tries; who waits for longer than these is told


class Way(models.Model):
    """Through which stream, and from whom, the digest goes; one row, or none: then as the mails of incidents do."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    stream = models.ForeignKey("transports.Stream", on_delete=models.PROTECT, related_name="+")
    identity = models.ForeignKey("domains.Identity", on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(id=1), name="digest_way_is_one")
        ]

    def __str__(self) -> str:
        return f"{self.stream}, from {self.identity.addr_spec}"


class Subscription(models.Model):
    """That a person asked for the digest; without a row nobody gets one."""

    user = models.OneToOneField(
        "accounts.User", on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    is_on = models.BooleanField(default=False)
    since_at = models.DateTimeField(db_default=Now())  # when it was switched on or off last
    left_by_mail = models.BooleanField(default=False)  # switched off by the link in a digest

    def __str__(self) -> str:
        return f"Weekly digest of {self.user}"


class DigestQuerySet(models.QuerySet["Digest"]):
    def waiting(self) -> Self:
        """Keep those that are neither queued as a message nor given up."""
        return self.filter(done_at=None)

    def due(self) -> Self:
        return self.waiting().filter(due_at__lte=Now())

    def in_trouble(self) -> Self:
        """Keep those of late that did not go out, or did and did not arrive; of each person the newest counts."""
        newer = Digest.objects.filter(
            user=models.OuterRef("user"), pk__gt=models.OuterRef("pk"), message__isnull=False
        )
        told = self.filter(created_at__gt=Now() - LATELY, user__is_active=True).exclude(
            models.Exists(newer)
        )
        return told.filter(
            Q(has_failed=True)
            | Q(done_at=None, attempts__gte=DOUBTS)
            | Q(message__status__in=NOT_ARRIVED)
        )


class Digest(models.Model):
    """One digest to one person: of a week, once, or because they asked for one now."""

    class Occasion(models.TextChoices):
        WEEK = "week", "Monday's"
        ASKED = "asked", "Asked for"
        ASTRAY = "astray", "By a wrong clock"  # made while the clock was ahead: counts for no week

    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    occasion = models.CharField(max_length=6, choices=Occasion.choices, default=Occasion.WEEK)
    week_on = models.DateField()  # the Monday it tells from, in the person's zone
    time_zone = models.CharField(max_length=64)  # the person's, when it was made
    scheduled_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now())  # the next try
    attempts = models.PositiveSmallIntegerField(default=0)
    done_at = models.DateTimeField(null=True)  # queued as a message, or given up
    has_failed = models.BooleanField(default=False)  # given up, and the person still wanted it
    result = models.TextField(blank=True)  # of the last try, for a person
    message = models.ForeignKey(
        "outbox.Message", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = DigestQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "week_on"],
                name="digest_once_a_week",
                condition=Q(occasion="week"),
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="digest_due", condition=Q(done_at=None)),
            models.Index(fields=["user", "-id"], name="digest_by_user"),  # the page of one's own
            models.Index(fields=["-created_at"], name="digest_by_time"),  # what failed of late
        ]

    def __str__(self) -> str:
        return f"Digest of the week of {self.week_on:%-d %b %Y} to {self.user}"

    @property
    def is_waiting(self) -> bool:
        return self.done_at is None

    @property
    def was_asked_for(self) -> bool:
        return self.occasion == self.Occasion.ASKED

    @property
    def pill(self) -> str:
        """Return what its pill says: how its message stands, or why there is none."""
        if self.message is not None:
            return str(self.message.status)
        if self.is_waiting:
            return "waiting" if self.attempts else "queued"
        return "failed" if self.has_failed or self.was_asked_for else "dropped"

    @property
    def sentence(self) -> str:
        """Say what became of it where that isn't plain: why it waits, was given up or did not arrive."""
        if self.message is None:
            return self.result
        return self.message.sentence if self.message.status in NOT_ARRIVED else ""
