"""The records we look for in DNS, and every version of what it showed."""

from collections.abc import Collection
from typing import ClassVar, Self

from django.db import models
from django.db.models import Case, OuterRef, Subquery, Value, When

from mailops.domains.models.domain import Domain, words_of_need
from mailops.domains.models.status import BY_SCHEDULE, CheckStatus
from mailops.domains.words import Word, difference


class DnsRecordQuerySet(models.QuerySet["DnsRecord"]):
    def expected(self) -> Self:
        return self.filter(is_expected=True)

    def with_shown(self) -> Self:
        """Annotate `shown`, the values DNS showed last, in the order in which records are published."""
        newest = DnsObservation.objects.filter(record=OuterRef("pk")).order_by("-first_seen_at")
        order = Case(*(When(purpose=p, then=Value(n)) for n, p in enumerate(DnsRecord.Purpose)))
        return self.annotate(
            shown=Subquery(newest.values("values")[:1]),
            seen_since_at=Subquery(newest.values("first_seen_at")[:1]),
        ).order_by(order, "host")


class DnsRecord(models.Model):
    """One record we look for in DNS, and whether it is as it should be."""

    class Purpose(models.TextChoices):
        SPF = "spf", "SPF"
        DKIM = "dkim", "DKIM"
        DMARC = "dmarc", "DMARC"
        RETURN_PATH = "return_path", "Return path"
        MX = "mx", "MX"
        TLS_RPT = "tls_rpt", "TLS reports"
        MTA_STS = "mta_sts", "MTA-STS"
        BIMI = "bimi", "BIMI"

    class State(models.TextChoices):
        UNKNOWN = "unknown", "Not known"  # not looked for yet, or DNS didn't answer
        MATCHES = "matches", "As it should be"
        DIFFERS = "differs", "Differs"
        MISSING = "missing", "Missing"

    objects = DnsRecordQuerySet.as_manager()

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="records")
    purpose = models.CharField(max_length=15, choices=Purpose.choices)
    host = models.CharField(max_length=253)
    rtype = models.CharField(max_length=5)
    # empty: only its presence is needed; of SPF, it isn't known yet who sends
    to_publish = models.TextField(blank=True)
    needed_by = models.TextField(blank=True)
    is_expected = models.BooleanField(default=True)  # False: kept for its history only
    state = models.CharField(max_length=10, choices=State.choices, default=State.UNKNOWN)
    asked_at = models.DateTimeField(null=True)
    failure = models.TextField(blank=True)  # why DNS couldn't tell when it was last asked
    # the domain's own name servers that show something else → their values; null: not asked
    by_server = models.JSONField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["domain", "purpose", "host"], name="record_once_a_purpose"
            )
        ]

    @property
    def purpose_words(self) -> str:
        """Say what needs it: "for transport Relay and expected by Ada"."""
        return words_of_need(self.needed_by)

    @property
    def is_optional(self) -> bool:
        """Whether mail passes without it."""
        return self.purpose == self.Purpose.TLS_RPT

    @property
    def check_name(self) -> str:
        """The check that reads it."""
        of = {
            self.Purpose.SPF: "" if self.host == self.domain.name else self.host,
            self.Purpose.DKIM: self.host.partition("._domainkey")[0],
            self.Purpose.RETURN_PATH: self.host,
        }.get(self.Purpose(self.purpose), "")
        return f"{self.purpose}:{of}" if of else self.purpose

    def state_beside(self, broken: Collection[str]) -> str:
        """Return the state to show, where the checks named in `broken` say that mail fails."""
        if self.state == self.State.MISSING and self.is_optional:
            return "optional"
        is_broken = self.state == self.State.MATCHES and self.check_name in broken
        return CheckStatus.ERROR if is_broken else self.state

    @property
    def servers_agree(self) -> bool:
        return self.by_server == {}

    @property
    def differs(self) -> bool:
        return self.state == self.State.DIFFERS

    @property
    def change_to_make(self) -> list[Word]:
        """The words to add to and to remove from what DNS shows; needs `with_shown`."""
        shown: list[str] = getattr(self, "shown", None) or []
        return difference(shown, [self.to_publish]) if self.to_publish and self.differs else []

    def __str__(self) -> str:
        return f"{self.rtype} {self.host}"


class DnsObservationQuerySet(models.QuerySet["DnsObservation"]):
    def with_values_before(self) -> Self:
        """Annotate `values_before`, what DNS showed before; None where it is the first version of its record."""
        older = DnsObservation.objects.filter(
            record=OuterRef("record"), first_seen_at__lt=OuterRef("first_seen_at")
        ).order_by("-first_seen_at")
        return self.annotate(values_before=Subquery(older.values("values")[:1]))


class DnsObservation(models.Model):
    """One version of a record: what DNS showed from `first_seen_at` until `last_seen_at`."""

    objects = DnsObservationQuerySet.as_manager()

    record = models.ForeignKey(DnsRecord, on_delete=models.CASCADE, related_name="observations")
    values = models.JSONField(default=list)  # sorted; empty: the record wasn't there
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    noticed_by = models.CharField(max_length=254, default=BY_SCHEDULE)  # or who pressed

    class Meta:
        # the newest version, and the history
        indexes: ClassVar = [
            models.Index(fields=["record", "-first_seen_at"], name="observation_by_record")
        ]
