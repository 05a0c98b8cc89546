"""That somebody looks for trouble, and since when."""

from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Now

GAP = timedelta(minutes=2)  # without a look for so long, nobody looks: there is one each 10 seconds
_NOW = Now()


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
