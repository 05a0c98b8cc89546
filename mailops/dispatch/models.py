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
    """How many messages a rate still lets through now, over all workers; refilled by time as it is taken from."""

    key = models.CharField(max_length=60, primary_key=True)  # "transport:7", "stream:3"
    level = models.FloatField()
    refilled_at = models.DateTimeField()
