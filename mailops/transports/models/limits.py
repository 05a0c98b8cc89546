"""What mailbox providers are spared: limits of their own, over all transports, streams and processes."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from mailops.lib.mailbox_providers import NAMES, name_of


class ProviderLimitQuerySet(models.QuerySet["ProviderLimit"]):
    def by_name(self) -> Self:
        return self.order_by("mailbox_provider")


class ProviderLimit(models.Model):
    """What one mailbox provider is sent at most; a provider without a row has `PROVIDER_DEFAULT`."""

    mailbox_provider = models.CharField(max_length=100, unique=True)
    max_sessions = models.PositiveSmallIntegerField(null=True, blank=True)  # null: no limit
    messages_per_session = models.PositiveIntegerField(null=True, blank=True)
    rate_per_minute = models.PositiveIntegerField(null=True, blank=True)
    note = models.CharField(max_length=300, blank=True)  # where the numbers are from
    changed_at = models.DateTimeField(auto_now=True)
    moved_at = models.DateTimeField(
        null=True
    )  # when nothing queued before was left in another pool

    objects = ProviderLimitQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(mailbox_provider=""), name="limit_of_somebody")
        ]

    def __str__(self) -> str:
        return name_of(self.mailbox_provider)

    @property
    def is_known(self) -> bool:
        """Whether mailops knows the provider by its name, and not only by its domain."""
        return self.mailbox_provider in NAMES


# Of each provider that mailops knows by name and that has no row: none of them minds as much.
PROVIDER_DEFAULT = ProviderLimit(max_sessions=10, messages_per_session=500)
