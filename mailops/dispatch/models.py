"""The processes that send."""

from datetime import timedelta
from typing import ClassVar
from uuid import uuid4

from django.db import models
from django.db.models.functions import Now

from mailops.lib.mailbox_providers import name_of
from mailops.transports.models import Transport


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self) -> "WorkerQuerySet":
        return self.filter(dead_at=None, stopped_at=None)

    def logged_in_with(self, credential_id: int) -> "WorkerQuerySet":
        return self.alive().filter(logins__has_key=str(credential_id))


class Worker(models.Model):
    """One start of one sending process; a dead row is never revived (states.md, W10)."""

    lane = models.CharField(max_length=15)
    host = models.CharField(max_length=253)
    pid = models.PositiveIntegerField()
    beats = models.PositiveBigIntegerField(default=0)  # moves every 5 s while the process lives
    sessions = models.PositiveSmallIntegerField(default=0)
    logins = models.JSONField(default=dict)  # credential → sessions that logged in with it
    fence = models.BigIntegerField(default=0)  # the highest it claimed, as of its last beat
    started_at = models.DateTimeField(auto_now_add=True)
    stopped_at = models.DateTimeField(null=True)  # it said good-bye itself
    dead_at = models.DateTimeField(null=True)  # a sweeper's verdict, final

    objects = WorkerQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["id"],
                name="worker_alive",
                condition=models.Q(dead_at=None, stopped_at=None),
            ),
        ]

    @property
    def is_alive(self) -> bool:
        return self.dead_at is None and self.stopped_at is None


class Lineage(models.Model):
    """Which database this is, through every dump and restore, and what it knew when it was last restored."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    is_the_one = models.BooleanField(default=True, unique=True)
    fence = models.BigIntegerField(default=0)
    restored_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="lineage_is_the_one", condition=models.Q(is_the_one=True))
        ]


class Allowance(models.Model):
    """What the limits of one key still let through, over all workers; refilled by time as it is taken from."""

    key = models.CharField(max_length=140, primary_key=True)  # "t7", "s3", "p:gmail", "t7:gmail"
    # messages that may leave now: "" for anybody, a stream's id for it alone
    levels = models.JSONField(default=dict)
    refilled_at = models.DateTimeField()
    day = models.DateField()  # of UTC
    spent = models.PositiveIntegerField(default=0)  # of the day's number


LONGEST_STOP = timedelta(hours=1)  # an end beyond was set by a clock ahead


class PressureQuerySet(models.QuerySet["Pressure"]):
    def with_now(self) -> "PressureQuerySet":
        """Tell of each whether nothing leaves now (`is_stopped`), by the database's clock."""
        stopped = models.Q(
            stopped_until__isnull=False,
            stopped_until__gt=Now(),
            stopped_until__lte=Now() + LONGEST_STOP,
        )
        return self.annotate(is_stopped=models.ExpressionWrapper(stopped, models.BooleanField()))


class Pressure(models.Model):
    """A next hop's or mailbox provider's wish to be sent less through one transport; gone once it is over."""

    transport = models.ForeignKey(
        "transports.Transport", on_delete=models.CASCADE, related_name="+"
    )
    mailbox_provider = models.CharField(max_length=100, blank=True)  # "": all of the transport
    rate_per_minute = models.FloatField()  # at most, until it is raised or lowered again
    aim = models.FloatField()  # the rate at which it is over
    stopped_until = models.DateTimeField(null=True)  # nothing leaves before; then little, to try
    refusals = models.PositiveIntegerField(default=0)  # in a row, without one that was taken
    stops = models.PositiveSmallIntegerField(default=0)  # in a row
    sentence = models.TextField()
    detail = models.TextField(blank=True)  # the reply
    since = models.DateTimeField(db_default=Now())
    changed_at = models.DateTimeField(db_default=Now())  # when the rate was lowered or raised last

    objects = PressureQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["transport", "mailbox_provider"], name="pressure_once")
        ]

    @property
    def place_name(self) -> str:
        return name_of(self.mailbox_provider) if self.mailbox_provider else "everybody"

    @property
    def now_at_most(self) -> int:
        return round(self.rate_per_minute)

    @property
    def before(self) -> int:
        return round(self.aim / 2)


class CrowdingQuerySet(models.QuerySet["Crowding"]):
    def of(self, transport: Transport) -> "Crowding | None":
        """Return what a transport's next hop takes, where that is less than the transport may have."""
        return self.filter(transport=transport, sessions__lt=transport.max_sessions).first()


class Crowding(models.Model):
    """A next hop that turned sessions away while others talked: so many at once and no more; gone once it takes all."""

    transport = models.OneToOneField(
        "transports.Transport", on_delete=models.CASCADE, related_name="+"
    )
    sessions = models.PositiveSmallIntegerField()  # at most, over all workers
    detail = models.TextField(blank=True)  # what the last one heard that was turned away
    since = models.DateTimeField(db_default=Now())
    changed_at = models.DateTimeField(db_default=Now())  # when sessions were lowered or raised last

    objects = CrowdingQuerySet.as_manager()


class PressureScan(models.Model):
    """How far the ledger was read for such wishes; one row."""

    event_id = models.BigIntegerField(default=0)
    watched = models.JSONField(default=list)  # places with too few such replies yet, for a minute


class Seat(models.Model):
    """The sessions of one kind that a living worker holds or wants; those of the dead, or not renewed, count no more."""

    # "t7": of a transport, "p:gmail": that speak of a provider
    key = models.CharField(max_length=140)
    worker = models.ForeignKey(Worker, on_delete=models.CASCADE, related_name="+")
    held = models.PositiveSmallIntegerField(default=0)
    wanted = models.PositiveSmallIntegerField(default=0)
    talking = models.PositiveSmallIntegerField(
        db_default=0
    )  # of those that are held, could be opened
    waits_since = models.DateTimeField()
    renewed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key", "worker"], name="seat_once")
        ]
