"""What the checks of a domain say, and when that changed."""

import re
from datetime import datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models import Case, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Now

from mailops.domains.models.domain import Domain
from mailops.domains.models.status import (
    BREAKS_BULK,
    BY_SCHEDULE,
    JUDGES_OTHERS,
    LISTS,
    NOT_OURS_TO_KNOW,
    SEVERITY,
    UNANSWERED,
    CheckStatus,
)


class FindingQuerySet(models.QuerySet["Finding"]):
    def broken_since_well(self) -> Self:
        """Keep what is broken and worked before that: what was never set up, or is needed anew, is no news."""
        changes = FindingChange.objects.filter(
            domain=OuterRef("domain"), check_name=OuterRef("check_name")
        )
        before = Subquery(changes.order_by("-id").values("before")[:1])
        broken = self.filter(status=CheckStatus.ERROR).annotate(before=before)
        return broken.filter(before__in=(CheckStatus.OK, CheckStatus.WARNING))

    def of_lists(self) -> Self:
        """Keep what lists of senders of spam say: nothing of the domain's own is broken there."""
        return self.filter(check_name=LISTS)

    def of_records(self) -> Self:
        return self.exclude(check_name=LISTS)

    def unanswered(self, now: datetime) -> Self:
        """Keep what DNS tells nothing of for long."""
        since = now - UNANSWERED
        never_known = Q(status=CheckStatus.UNKNOWN, since_at__lte=since)
        silent = self.filter(never_known | Q(unknown_since_at__lte=since))
        return silent.exclude(check_name__in=NOT_OURS_TO_KNOW)

    def worst_first(self) -> Self:
        """Order by severity; of the same, what is to be mended before what follows from it."""
        severity = Case(*(When(status=status, then=Value(-n)) for status, n in SEVERITY.items()))
        follows = Case(When(check_name__in=JUDGES_OTHERS, then=Value(1)), default=Value(0))
        return self.order_by(severity, follows, "check_name")


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
    def is_broken(self) -> bool:
        return self.status == CheckStatus.ERROR

    @property
    def is_of_lists(self) -> bool:
        """Whether it says what lists of senders of spam say: no record is to be mended then."""
        return self.check_name == LISTS

    @property
    def breaks_bulk(self) -> bool:
        """Whether it makes bulk mail stop once its domain's grace is over."""
        return self.is_broken and re.match(BREAKS_BULK, self.check_name) is not None

    @property
    def judges_others(self) -> bool:
        """Whether it says what the other findings come to: those are to be mended, not it."""
        return self.check_name in JUDGES_OTHERS

    @property
    def is_well(self) -> bool:
        return self.status == CheckStatus.OK and not self.is_stale

    @property
    def is_stale(self) -> bool:
        """Tell whether the status is only the last one known, since DNS doesn't answer."""
        return self.unknown_since_at is not None

    @property
    def unanswered_since_at(self) -> datetime:
        """Since when DNS hasn't told, of what it doesn't tell."""
        return self.unknown_since_at or self.since_at

    @property
    def is_of_signing(self) -> bool:
        """Whether keys of ours may mend it, beside what DNS shows."""
        return self.check_name.partition(":")[0] in {"alignment", "dkim"}

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
