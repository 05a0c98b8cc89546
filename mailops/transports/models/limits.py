"""What mailbox providers are spared: limits of their own, over all transports, streams and processes."""

from datetime import date, timedelta
from math import ceil, log
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils.functional import cached_property

from mailops.accounts.meanwhile import mark_of_fields
from mailops.lib.mailbox_providers import NAMES, name_of


class ProviderLimitQuerySet(models.QuerySet["ProviderLimit"]):
    def by_name(self) -> Self:
        return self.order_by("mailbox_provider")


class ProviderLimit(models.Model):
    """What one mailbox provider is sent at most; a provider without a row has `PROVIDER_DEFAULT`."""

    # what its form changes
    SETTINGS = (
        "mailbox_provider", "max_sessions", "messages_per_session", "rate_per_minute", "note",
    )  # fmt: skip

    mailbox_provider = models.CharField(max_length=100, unique=True)
    max_sessions = models.PositiveSmallIntegerField(null=True, blank=True)  # null: no limit
    messages_per_session = models.PositiveIntegerField(null=True, blank=True)
    rate_per_minute = models.PositiveIntegerField(null=True, blank=True)
    note = models.CharField(max_length=300, blank=True)  # where the numbers are from
    changed_at = models.DateTimeField(auto_now=True)
    # when nothing queued before was left in another pool
    moved_at = models.DateTimeField(null=True)

    objects = ProviderLimitQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(mailbox_provider=""), name="limit_of_somebody")
        ]

    def __str__(self) -> str:
        return name_of(self.mailbox_provider)

    @property
    def mark(self) -> str:
        """What tells its present settings from others."""
        return mark_of_fields(self, self.SETTINGS)

    @property
    def is_known(self) -> bool:
        """Whether mailops knows the provider by its name, and not only by its domain."""
        return self.mailbox_provider in NAMES


# Of each provider that mailops knows by name and that has no row: none of them minds as much.
PROVIDER_DEFAULT = ProviderLimit(max_sessions=10, messages_per_session=500)


class WarmUp(models.Model):
    """A ramp of what one transport sends a day, to one mailbox provider or to everybody without a row, each by itself."""

    # what its form changes
    SETTINGS = ("mailbox_provider", "started_on", "first_day", "growth_percent", "full_volume")

    transport = models.ForeignKey(
        "transports.Transport", on_delete=models.CASCADE, related_name="warm_ups"
    )
    mailbox_provider = models.CharField(max_length=100, blank=True)  # "": whoever has no row
    started_on = models.DateField()  # a day of UTC
    first_day = models.PositiveIntegerField(default=50)
    growth_percent = models.PositiveSmallIntegerField(default=50)
    # a day; from then on nothing is held back
    full_volume = models.PositiveIntegerField(default=50_000)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["transport", "mailbox_provider"], name="warm_up_once")
        ]

    def __str__(self) -> str:
        if self.mailbox_provider:
            return name_of(self.mailbox_provider)
        return "everybody else" if self.has_others else "everybody"

    @property
    def mark(self) -> str:
        """What tells its present settings from others."""
        return mark_of_fields(self, self.SETTINGS)

    @cached_property
    def has_others(self) -> bool:
        """Whether its transport has ramps for single providers."""
        return self.transport.warm_ups.exclude(mailbox_provider="").exists()

    def day(self, today: date) -> int:
        """Return which day of the ramp it is, from 1."""
        return max(0, (today - self.started_on).days) + 1

    def volume(self, today: date) -> int | None:
        """Return how many messages may leave on a day; None once it is warm."""
        day = self.day(today)
        if day > self.days:
            return None
        grown = day - 1
        return int(self.first_day * (100 + self.growth_percent) ** grown // 100**grown)

    @property
    def days(self) -> int:
        """How many days it lasts."""
        if self.first_day >= self.full_volume:
            return 0
        ratio = log(self.full_volume / self.first_day) / log(1 + self.growth_percent / 100)
        return ceil(ratio - 1e-9)

    def stand_still(self, since: date, today: date) -> int:
        """Go on where the ramp was on the day `since`, after which nothing left until today; return the days between."""
        first = max(since + timedelta(days=1), self.started_on)
        still = max(0, (today - first).days)
        if still and self.volume(first) is not None:
            self.started_on += timedelta(days=still)
            return still
        return 0

    @property
    def warm_on(self) -> date:
        """The first day on which nothing is held back."""
        return self.started_on + timedelta(days=self.days)
