"""The processes that send."""

from typing import ClassVar

from django.db import models


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self) -> "WorkerQuerySet":
        return self.filter(dead_at=None, stopped_at=None)


class Worker(models.Model):
    """One start of one sending process; a dead row is never revived (states.md, W10)."""

    lane = models.CharField(max_length=15)
    host = models.CharField(max_length=253)
    pid = models.PositiveIntegerField()
    beats = models.PositiveBigIntegerField(default=0)  # moves every 5 s while the process lives
    sessions = models.PositiveSmallIntegerField(default=0)
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


class Allowance(models.Model):
    """What the limits of one key still let through, over all workers; refilled by time as it is taken from."""

    key = models.CharField(max_length=140, primary_key=True)  # "t7", "s3", "p:gmail", "t7:gmail"
    levels = models.JSONField(
        default=dict
    )  # messages that may leave now: "" for anybody, a stream's id for it alone
    refilled_at = models.DateTimeField()
    day = models.DateField()  # of UTC
    spent = models.PositiveIntegerField(default=0)  # of the day's number
