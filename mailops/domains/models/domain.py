"""Sender domains, whom their mail is from, and what they must publish for the ways it leaves."""

import re
from datetime import timedelta
from typing import ClassVar, Self

from django.db import models
from django.db.models import Case, ExpressionWrapper, F, Min, Q, Value, When
from django.db.models.functions import Lower, Now
from django.utils import timezone

from mailops.accounts.meanwhile import mark_of
from mailops.domains.models.status import BREAKS_BULK, SEVERITY, CheckStatus


class DomainQuerySet(models.QuerySet["Domain"]):
    def with_grace(self) -> Self:
        """Annotate `failing_since_at`, when what is broken now of authentication broke, and `bulk_stops_at`."""
        broken = Q(findings__status=CheckStatus.ERROR, findings__check_name__regex=BREAKS_BULK)
        hours = ExpressionWrapper(
            F("grace_hours") * Value(timedelta(hours=1)), output_field=models.DurationField()
        )
        return self.annotate(failing_since_at=Min("findings__since_at", filter=broken)).annotate(
            bulk_stops_at=ExpressionWrapper(
                F("failing_since_at") + hours, output_field=models.DateTimeField()
            )
        )

    def due(self) -> Self:
        """Domains whose re-check is due; one that was never checked is."""
        return self.filter(Q(next_check_at__lte=Now()) | Q(next_check_at=None))

    def broken_first(self) -> Self:
        severity = Case(*(When(status=status, then=Value(-n)) for status, n in SEVERITY.items()))
        return self.annotate(severity=severity).order_by("severity", "name")


class Domain(models.Model):
    objects = DomainQuerySet.as_manager()

    name = models.CharField(max_length=253)  # as A-labels, lower case
    owner = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    status = models.CharField(
        max_length=10, choices=CheckStatus.choices, default=CheckStatus.UNKNOWN
    )
    checked_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)
    broken_since_at = models.DateTimeField(null=True)
    dmarc_facts = models.JSONField(default=dict)  # checks.alignment.Facts, as last known
    # how long authentication may be broken before bulk mail stops
    grace_hours = models.PositiveSmallIntegerField(default=72)
    bulk_stopped_at = models.DateTimeField(null=True)  # when it was stopped for that
    changed_at = models.DateTimeField(null=True)  # when a record or an answer last was another
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(Lower("name"), name="domain_name_unique")]

    def __str__(self) -> str:
        return self.name

    @property
    def mark(self) -> str:
        """What tells what people set of it from others."""
        return mark_of(self.owner_id, self.grace_hours)

    @property
    def is_broken(self) -> bool:
        return self.status == CheckStatus.ERROR

    @property
    def was_checked(self) -> bool:
        return self.checked_at is not None

    @property
    def is_check_due(self) -> bool:
        return self.next_check_at is None or self.next_check_at <= timezone.now()

    def recheck_soon(self) -> None:
        """Make the next tick check this domain, because what it must publish has changed."""
        Domain.objects.filter(pk=self.pk).update(next_check_at=Now())

    def uses(self) -> list[str]:
        """Return what stands on this domain, for people; it can't be deleted while there is any."""
        return [f"stream {stream.name}" for stream in self.streams.order_by("name")] + [
            f"identity {identity}" for identity in self.identities.order_by("id")
        ]


class Identity(models.Model):
    """Whom mail says it is from: a header From of a domain, with a name and a Reply-To; never edited once used."""

    domain = models.ForeignKey(Domain, on_delete=models.PROTECT, related_name="identities")
    name = models.CharField(max_length=100)
    local_part = models.CharField(max_length=64)
    reply_to = models.EmailField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    @property
    def addr_spec(self) -> str:
        return f"{self.local_part}@{self.domain.name}"

    def __str__(self) -> str:
        return f"{self.name} <{self.addr_spec}>"


def words_of_need(needed_by: str) -> str:
    """Say in words who or what needs a record: "expected by Ada and for transport Relay"."""
    needs = re.split(" and (?=transport: |person: )", needed_by)
    return " and ".join(map(_words_of_one, needs))


def _words_of_one(need: str) -> str:
    if not need or need.startswith("inherited"):
        return need
    if need.startswith("person: "):
        return need.replace("person: ", "expected by ", 1)
    return f"for {need.replace('transport: ', 'transport ', 1)}"


class Requirement(models.Model):
    """A record that something of ours needs this domain to publish, written down by whoever needs it."""

    class Kind(models.TextChoices):
        SPF_INCLUDE = "spf_include", "SPF include"  # value: the include's domain
        SPF_ADDRESS = "spf_address", "SPF address"  # value: an IP address or network
        # host: selector; value: the key record, or empty if only its presence is needed
        DKIM_SELECTOR = "dkim_selector", "DKIM key"
        # host: the return-path host; value: the MX it must have
        RETURN_PATH = "return_path", "Return path"
        DMARC = "dmarc", "DMARC policy"  # value: the least policy
        SENDS = "sends", "Mail"  # value: who signs it

    SIGNED_HERE = "signed by mailops"  # with whatever keys the domain has
    SIGNED_THERE = "signed by the provider"

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="requirements")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    host = models.CharField(max_length=253, blank=True)
    value = models.TextField(blank=True)
    # "transport: Sandbox", for people; unique with kind and host
    needed_by = models.CharField(max_length=100)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["domain", "kind", "host", "value", "needed_by"], name="requirement_unique"
            )
        ]

    @property
    def label(self) -> str:
        return f"{self.get_kind_display()} {self.host or self.value}"

    @property
    def need_words(self) -> str:
        return words_of_need(self.needed_by)

    @property
    def is_a_persons(self) -> bool:
        """Tell whether a person expects it; what a transport needs goes away with the transport."""
        return self.needed_by.startswith("person:")
