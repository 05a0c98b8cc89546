"""Sender domains: the records we expect, what DNS shows, how that changed."""

import re
from collections.abc import Collection
from datetime import timedelta
from typing import ClassVar, Self

from django.db import models
from django.db.models import Case, ExpressionWrapper, F, Min, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Lower, Now
from django.utils import timezone

from mailops.domains.words import Word, difference


class CheckStatus(models.TextChoices):
    UNKNOWN = "unknown", "Not known"  # never checked, or DNS could not be asked
    OK = "ok", "OK"  # alignment holds
    WARNING = "warning", "Warning"  # works, but a receiver may mind
    ERROR = "error", "Broken"  # mail from this domain fails authentication


SEVERITY = {
    CheckStatus.OK: 0,
    CheckStatus.UNKNOWN: 1,
    CheckStatus.WARNING: 2,
    CheckStatus.ERROR: 3,
}


# What receivers authenticate by: broken for long, it costs the domain its name.
_BREAKS_BULK = r"^(alignment|spf|dkim|dmarc)(:|$)"


BY_SCHEDULE = "schedule"


class DomainQuerySet(models.QuerySet["Domain"]):
    def with_grace(self) -> Self:
        """Annotate `failing_since_at`, when what is broken now of authentication broke, and `bulk_stops_at`."""
        broken = Q(findings__status=CheckStatus.ERROR, findings__check_name__regex=_BREAKS_BULK)
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
    grace_hours = models.PositiveSmallIntegerField(
        default=72
    )  # how long authentication may be broken before bulk mail stops
    bulk_stopped_at = models.DateTimeField(null=True)  # when it was stopped for that
    changed_at = models.DateTimeField(null=True)  # when a record or an answer last was another
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(Lower("name"), name="domain_name_unique")]

    def __str__(self) -> str:
        return self.name

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


class Requirement(models.Model):
    """A record that something of ours needs this domain to publish, written down by whoever needs it."""

    class Kind(models.TextChoices):
        SPF_INCLUDE = "spf_include", "SPF include"  # value: the include's domain
        SPF_ADDRESS = "spf_address", "SPF address"  # value: an IP address or network
        DKIM_SELECTOR = (
            "dkim_selector",
            "DKIM key",
        )  # host: selector; value: the key record, or empty if only its presence is needed
        RETURN_PATH = (
            "return_path",
            "Return path",
        )  # host: the return-path host; value: the MX it must have
        DMARC = "dmarc", "DMARC policy"  # value: the least policy
        SENDS = "sends", "Mail"  # value: who signs it

    SIGNED_HERE = "signed by mailops"  # with whatever keys the domain has
    SIGNED_THERE = "signed by the provider"

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="requirements")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    host = models.CharField(max_length=253, blank=True)
    value = models.TextField(blank=True)
    needed_by = models.CharField(
        max_length=100
    )  # "transport: Sandbox", for people; unique with kind and host

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
    def is_a_persons(self) -> bool:
        """Tell whether a person expects it; what a transport needs goes away with the transport."""
        return self.needed_by.startswith("person:")


class FindingQuerySet(models.QuerySet["Finding"]):
    def breaking_bulk(self) -> Self:
        """Keep what makes bulk mail stop once its domain's grace is over."""
        return self.filter(status=CheckStatus.ERROR, check_name__regex=_BREAKS_BULK)

    def worst_first(self) -> Self:
        severity = Case(*(When(status=status, then=Value(-n)) for status, n in SEVERITY.items()))
        return self.annotate(severity=severity).order_by("severity", "check_name")


class ChecksSomething(models.Model):
    check_name = models.CharField(max_length=320)  # "spf", "dkim:s1", "return_path:bounces.x"

    class Meta:
        abstract = True

    @property
    def label(self) -> str:
        """The check's name for people: “DKIM s1”."""
        kind, _, of = self.check_name.partition(":")
        return f"{CHECK_LABELS.get(kind, kind)} {of}".strip()


CHECK_LABELS = {
    "alignment": "DMARC alignment",
    "spf": "SPF",
    "dkim": "DKIM",
    "dmarc": "DMARC",
    "return_path": "Return path",
    "mx": "MX",
    "ptr": "Reverse DNS",
    "dnsbl": "Lists of spam senders",
    "mta_sts": "MTA-STS",
    "tls_rpt": "TLS-RPT",
    "bimi": "BIMI",
    "dnssec": "DNSSEC",
    "authority": "Name servers",
    "bulk_senders": "Rules for bulk senders",
}


class Finding(ChecksSomething):
    """What one check says of a domain; a resolver that fails leaves the last known status standing."""

    objects = FindingQuerySet.as_manager()

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="findings")
    status = models.CharField(max_length=10, choices=CheckStatus.choices)  # the last one known
    sentence = models.TextField()
    fix = models.TextField(blank=True)
    rfc = models.CharField(max_length=60, blank=True)
    evidence = models.JSONField(default=list)  # lines of technical text
    since_at = models.DateTimeField()  # when this status began
    checked_at = models.DateTimeField()  # when DNS last told
    unknown_since_at = models.DateTimeField(null=True)  # DNS hasn't told since then
    unknown_sentence = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["domain", "check_name"], name="finding_once_a_check")
        ]

    @property
    def needs_mending(self) -> bool:
        return self.status in {CheckStatus.WARNING, CheckStatus.ERROR}

    @property
    def is_broken(self) -> bool:
        return self.status == CheckStatus.ERROR

    @property
    def is_well(self) -> bool:
        return self.status == CheckStatus.OK and not self.is_stale

    @property
    def is_stale(self) -> bool:
        """Tell whether the status is only the last one known, since DNS doesn't answer."""
        return self.unknown_since_at is not None

    @property
    def technical_text(self) -> str:
        return "\n".join(self.evidence)

    def __str__(self) -> str:
        return f"{self.domain}: {self.label}"


class FindingChangeQuerySet(models.QuerySet["FindingChange"]):
    def from_known(self) -> Self:
        """Those of an answer that was known before: the first look at a domain changes nothing."""
        return self.exclude(before=CheckStatus.UNKNOWN)


class FindingChange(ChecksSomething):
    """A check's status changed: the history of a domain."""

    objects = FindingChangeQuerySet.as_manager()

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="finding_changes")
    before = models.CharField(max_length=10, choices=CheckStatus.choices)
    after = models.CharField(max_length=10, choices=CheckStatus.choices)
    sentence = models.TextField()
    noticed_by = models.CharField(max_length=254, default=BY_SCHEDULE)  # or who pressed
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["domain", "-at"], name="finding_change_by_domain")  # the history
        ]

    @property
    def told(self) -> str:
        """Say the change in words: "SPF: OK → Broken", or what the first look found."""
        after = self.get_after_display()
        if self.before == CheckStatus.UNKNOWN:
            return f"{self.label}: {after} at the first look"
        return f"{self.label}: {self.get_before_display()} → {after}"


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
    to_publish = models.TextField(blank=True)  # empty: only its presence is needed
    needed_by = models.TextField(blank=True)
    is_expected = models.BooleanField(default=True)  # False: kept for its history only
    state = models.CharField(max_length=10, choices=State.choices, default=State.UNKNOWN)
    asked_at = models.DateTimeField(null=True)
    failure = models.TextField(blank=True)  # why DNS couldn't tell when it was last asked
    by_server = models.JSONField(
        null=True
    )  # the domain's own name servers that show something else → their values; null: not asked

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["domain", "purpose", "host"], name="record_once_a_purpose"
            )
        ]

    @property
    def purpose_words(self) -> str:
        """Say what needs it: "for transport Relay"."""
        words = re.sub(r"\b(?:person: |(transport): )", r"\1 ", self.needed_by).strip()
        return words if not words or words.startswith("inherited") else f"for {words}"

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


class DnsObservation(models.Model):
    """One version of a record: what DNS showed from `first_seen_at` until `last_seen_at`."""

    record = models.ForeignKey(DnsRecord, on_delete=models.CASCADE, related_name="observations")
    values = models.JSONField(default=list)  # sorted; empty: the record wasn't there
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    noticed_by = models.CharField(max_length=254, default=BY_SCHEDULE)  # or who pressed

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["record", "-first_seen_at"], name="observation_by_record")
        ]  # the newest version, and the history
