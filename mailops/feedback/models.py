"""What came back, as it came: mail at the return-path host and providers' webhooks."""

import hashlib
import secrets
import zlib
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.urls import reverse

from mailops.lib.sealed import SealedColumns
from mailops.lib.secrets import Unsealable
from mailops.transports.models import Transport

MAX_CONTENT = 20_000_000  # octets; what is unpacked of an archived row, whatever it says of itself


def content_hash(recipients: list[str], content: bytes) -> str:
    """Return what tells one piece of feedback from another: to whom it came and what it says."""
    envelope = "\n".join(recipients).encode("utf-8", "replace")
    return hashlib.sha256(envelope + b"\0" + content).hexdigest()


def return_path_hosts() -> frozenset[str]:
    """Return the hosts that our envelope senders name, so that feedback comes back to."""
    own = Transport.objects.exclude(return_path_host="").values_list("return_path_host", flat=True)
    return frozenset({settings.MAILOPS_RETURN_PATH_HOST.lower(), *map(str.lower, own)})


class RawFeedbackQuerySet(models.QuerySet["RawFeedback"]):
    def due(self) -> "RawFeedbackQuerySet":
        """Keep what waits to be read, by the database's clock."""
        return self.filter(state=RawFeedback.State.PENDING, due_at__lte=Now())

    def quarantined(self) -> "RawFeedbackQuerySet":
        return self.filter(state=RawFeedback.State.QUARANTINED)

    def light(self) -> "RawFeedbackQuerySet":
        """Leave out what only one row's page shows."""
        return self.defer("content", "headers", "result")


class RawFeedback(models.Model):
    """One mail or webhook call, archived before anything reads it; reading it again changes nothing that was right."""

    class State(models.TextChoices):
        PENDING = "pending", "Waiting"  # a worker will read it
        PROCESSED = "processed", "Read"  # it said what happened to a message, or that nothing did
        QUARANTINED = "quarantined", "Quarantined"  # not proven or not ours; it changed nothing
        FAILED = "failed", "Unreadable"  # mailops itself could not read it

    class Kind(models.TextChoices):
        BOUNCE = "bounce", "Bounce"
        DELAY = "delay", "Delay"
        DELIVERED = "delivered", "Delivery notice"
        COMPLAINT = "complaint", "Complaint"
        UNSUBSCRIBE = "unsubscribe", "Unsubscribe"
        AUTO_REPLY = "auto-reply", "Automatic reply"
        WEBHOOK = "webhook", "Provider's events"
        SUBSCRIPTION = "subscription", "Webhook subscription"
        DMARC = "dmarc", "DMARC report"
        TLS = "tls-report", "TLS report"
        OTHER = "other", "Something else"

    class Source(models.TextChoices):
        MAIL = "smtp", "Mail"
        IMAP = "imap", "Mailbox"
        SES = "webhook:amazon_ses", "Amazon SES webhook"
        BREVO = "webhook:brevo", "Brevo webhook"
        MAILERSEND = "webhook:mailersend", "MailerSend webhook"
        MAILGUN = "webhook:mailgun", "Mailgun webhook"
        MAILJET = "webhook:mailjet", "Mailjet webhook"
        MAILTRAP = "webhook:mailtrap", "Mailtrap webhook"
        MANDRILL = "webhook:mandrill", "Mandrill webhook"
        POSTAL = "webhook:postal", "Postal webhook"
        POSTMARK = "webhook:postmark", "Postmark webhook"
        RESEND = "webhook:resend", "Resend webhook"
        SENDGRID = "webhook:sendgrid", "SendGrid webhook"
        SPARKPOST = "webhook:sparkpost", "SparkPost webhook"
        UNISENDER_GO = "webhook:unisender_go", "Unisender Go webhook"

    received_at = models.DateTimeField(db_default=Now())
    source = models.CharField(max_length=30, choices=Source.choices)
    transport = models.ForeignKey(
        "transports.Transport", null=True, on_delete=models.SET_NULL, related_name="+"
    )  # whose webhook it came to
    peer = models.CharField(max_length=100, blank=True)
    envelope_sender = models.CharField(max_length=320, blank=True)
    envelope_recipients = ArrayField(models.CharField(max_length=320), default=list)
    headers = models.JSONField(
        default=dict
    )  # name → value, of the request or the mail's first ones
    content = models.BinaryField()  # zlib
    size = models.PositiveIntegerField()  # octets before compression
    sha256 = models.CharField(max_length=64)
    is_verified = models.BooleanField(
        default=False
    )  # a signature of ours or the provider's proves it
    state = models.CharField(max_length=12, choices=State.choices, default=State.PENDING)
    kind = models.CharField(max_length=15, choices=Kind.choices, blank=True)
    reason = models.TextField(blank=True)  # why it changed nothing, or what it changed
    result = models.JSONField(default=dict)  # what it was read as
    message = models.ForeignKey(
        "outbox.Message", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    attempts = models.SmallIntegerField(default=0)  # readings put off, a certificate out of reach
    due_at = models.DateTimeField(db_default=Now())
    processed_at = models.DateTimeField(null=True)

    objects = RawFeedbackQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "sha256"], name="raw_feedback_once")
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["id"], name="raw_feedback_pending", condition=models.Q(state="pending")
            ),  # the worker's claim
            models.Index(
                fields=["state", "-id"], name="raw_feedback_by_state"
            ),  # the list's filter
            models.Index(
                fields=["transport", "-id"], name="raw_feedback_by_transport"
            ),  # last heard
            models.Index(
                fields=["message"], name="raw_feedback_by_message"
            ),  # a message's evidence
        ]

    def __str__(self) -> str:
        return f"{self.get_source_display()} {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("feedback:detail", args=[self.pk])

    @property
    def is_pending(self) -> bool:
        return self.state == self.State.PENDING

    @property
    def is_quarantined(self) -> bool:
        return self.state == self.State.QUARANTINED

    @property
    def is_failed(self) -> bool:
        return self.state == self.State.FAILED

    @property
    def is_mail(self) -> bool:
        return self.source in {self.Source.MAIL, self.Source.IMAP}

    @property
    def is_webhook(self) -> bool:
        return self.source.startswith("webhook:")

    @property
    def awaits_confirmation(self) -> bool:
        """Whether a provider asks to be allowed to call us, and nobody has answered yet."""
        return self.kind == self.Kind.SUBSCRIPTION and self.is_quarantined and self.is_verified

    @property
    def raw(self) -> bytes:
        """What came, octet for octet."""
        return zlib.decompressobj().decompress(bytes(self.content), MAX_CONTENT)


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
        indexes: ClassVar = [
            models.Index(fields=["domain", "ends_at"], name="aggregate_report_by_domain")
        ]  # a domain's last month

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


class SoftBounceScan(models.Model):
    """How far the ledger was read for mailboxes that refuse one message after another; one row."""

    event_id = models.BigIntegerField(default=0)  # outbox.Event


def _secret() -> str:
    return secrets.token_hex(20)


class WebhookEndpoint(SealedColumns):
    """The address at which one transport's provider tells what became of its mail."""

    sealed_columns = ("key",)

    transport = models.OneToOneField(
        "transports.Transport", on_delete=models.CASCADE, related_name="+"
    )
    secret = models.CharField(max_length=40, unique=True, default=_secret)  # in the address
    # what its calls are proven by: the provider's signing key, or the password we made; sealed
    key = models.BinaryField(blank=True, default=b"")
    topics = ArrayField(
        models.CharField(max_length=300), default=list
    )  # SNS topics a person let in
    last_heard_at = models.DateTimeField(null=True)  # anything, proven or not
    last_proven_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Webhook of {self.transport}"

    @property
    def url(self) -> str:
        """The whole address, to be pasted at the provider."""
        path = reverse("feedback:webhook", args=[self.secret])
        return f"{settings.MAILOPS_BASE_URL.rstrip('/')}{path}"

    def revealed_key(self) -> str:
        """Return what proves its calls, or an empty string where there is none or it can't be opened."""
        try:
            return self.open_from("key").reveal() if self.key else ""
        except Unsealable:
            return ""
