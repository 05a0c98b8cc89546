"""What receivers tell of our domains: DMARC and TLS reports."""

from typing import ClassVar

from django.db import models

from mailops.feedback.models.raw_feedback import RawFeedback


class AggregateReport(models.Model):
    """What one receiver tells of a domain's mail in a span of time: who sent it (DMARC), or how TLS went."""

    class Kind(models.TextChoices):
        DMARC = "dmarc", "DMARC"
        TLS = "tls", "TLS"

    kind = models.CharField(max_length=5, choices=Kind.choices)
    organization = models.CharField(max_length=200)
    report_id = models.CharField(max_length=200)
    domain = models.ForeignKey("domains.Domain", on_delete=models.CASCADE, related_name="+")
    policy = models.CharField(max_length=20, blank=True)
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    succeeded = models.BigIntegerField(default=0)  # TLS sessions
    failed = models.BigIntegerField(default=0)
    failures = models.JSONField(default=list)  # their types, the most frequent first
    raw = models.ForeignKey(RawFeedback, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "domain", "organization", "report_id"], name="aggregate_report_once"
            )
        ]
        # a domain's last month
        indexes: ClassVar = [
            models.Index(fields=["domain", "ends_at"], name="aggregate_report_by_domain")
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} report of {self.organization}"


class ReportedSource(models.Model):
    """One address that sent in a domain's name, as one report counts it."""

    report = models.ForeignKey(AggregateReport, on_delete=models.CASCADE, related_name="sources")
    source_ip = models.CharField(max_length=45)
    count = models.BigIntegerField()
    passes = models.BooleanField()  # DMARC: SPF or DKIM, aligned
    dkim_aligned = models.BooleanField()
    spf_aligned = models.BooleanField()
    disposition = models.CharField(max_length=20, blank=True)
    override = models.CharField(max_length=30, blank=True)  # forwarded, mailing_list …
    header_from = models.CharField(max_length=253, blank=True)
    dkim_domain = models.CharField(max_length=253, blank=True)
    dkim_selector = models.CharField(max_length=63, blank=True)
    spf_domain = models.CharField(max_length=253, blank=True)
