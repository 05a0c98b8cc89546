"""What came back, as it came: mail at the return-path host and providers' webhooks."""

import hashlib
import zlib
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.urls import reverse

from mailops.transports.models import Transport

MAX_CONTENT = 20_000_000  # octets; what is unpacked of an archived row, whatever it says of itself


def content_hash(came: list[str], content: bytes) -> str:
    """Return what tells one piece of feedback from another: to whom and how it came, and what it says."""
    envelope = "\n".join(came).encode("utf-8", "replace")
    return hashlib.sha256(envelope + b"\0" + content).hexdigest()


def return_path_hosts() -> frozenset[str]:
    """Return the hosts that our envelope senders name, so that feedback comes back to."""
    own = Transport.objects.exclude(return_path_host="").values_list("return_path_host", flat=True)
    return frozenset({settings.MAILOPS_RETURN_PATH_HOST.lower(), *map(str.lower, own)})


class RawFeedbackQuerySet(models.QuerySet["RawFeedback"]):
    def due(self) -> "RawFeedbackQuerySet":
        """Keep what waits to be read, by the database's clock."""
        return self.filter(state=RawFeedback.State.PENDING, due_at__lte=Now())

    def suspect(self) -> "RawFeedbackQuerySet":
        """Keep what is being read, or ended the process that read it."""
        return self.filter(unfinished__gt=0)

    def begin_reading(self) -> None:
        self.update(unfinished=models.F("unfinished") + 1)

    def end_reading(self) -> None:
        """Note that a reading failed, but did not end its process."""
        self.suspect().update(unfinished=models.F("unfinished") - 1)

    def signed_by_amazon(self) -> "RawFeedbackQuerySet":
        """Keep calls that a certificate of Amazon's proves, with no more than is needed to see which."""
        return self.filter(source=RawFeedback.Source.SES).only("source", "content")

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
    # whose webhook it came to
    transport = models.ForeignKey(
        "transports.Transport", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    # where it was read
    mailbox = models.ForeignKey(
        "feedback.Mailbox", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    peer = models.CharField(max_length=100, blank=True)
    envelope_sender = models.CharField(max_length=320, blank=True)
    envelope_recipients = ArrayField(models.CharField(max_length=320), default=list)
    # name → value, of the request or the mail's first ones
    headers = models.JSONField(default=dict)
    content = models.BinaryField()  # zlib
    size = models.PositiveIntegerField()  # octets before compression
    sha256 = models.CharField(max_length=64)
    # a signature of ours or the provider's proves it
    is_verified = models.BooleanField(default=False)
    state = models.CharField(max_length=12, choices=State.choices, default=State.PENDING)
    kind = models.CharField(max_length=15, choices=Kind.choices, blank=True)
    reason = models.TextField(blank=True)  # why it changed nothing, or what it changed
    result = models.JSONField(default=dict)  # what it was read as
    message = models.ForeignKey(
        "outbox.Message", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    attempts = models.SmallIntegerField(default=0)  # readings put off, a certificate out of reach
    unfinished = models.SmallIntegerField(db_default=0)  # readings begun that came to no end yet
    due_at = models.DateTimeField(db_default=Now())
    processed_at = models.DateTimeField(null=True)

    objects = RawFeedbackQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "sha256"], name="raw_feedback_once")
        ]
        indexes: ClassVar = [
            # the worker's claim
            models.Index(
                fields=["id"], name="raw_feedback_pending", condition=models.Q(state="pending")
            ),
            # nearly always empty; asked before each batch
            models.Index(
                fields=["id"],
                name="raw_feedback_suspect",
                condition=models.Q(state="pending", unfinished__gt=0),
            ),
            # the list's filter
            models.Index(fields=["state", "-id"], name="raw_feedback_by_state"),
            # last heard
            models.Index(fields=["transport", "-id"], name="raw_feedback_by_transport"),
            # what a mailbox held
            models.Index(
                fields=["mailbox", "-id"],
                name="raw_feedback_by_mailbox",
                condition=models.Q(mailbox__isnull=False),
            ),
            # a message's evidence
            models.Index(fields=["message"], name="raw_feedback_by_message"),
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
    def is_refused(self) -> bool:
        """Whether it counts for nothing because nothing proves who called, or nobody let them in."""
        is_asking = self.kind == self.Kind.SUBSCRIPTION
        return self.is_quarantined and (is_asking or not self.is_verified)

    @property
    def is_confirmed(self) -> bool:
        """Whether a provider asked to be allowed to call us, and a person let it."""
        return self.kind == self.Kind.SUBSCRIPTION and self.state == self.State.PROCESSED

    @property
    def raw(self) -> bytes:
        """What came, octet for octet."""
        return zlib.decompressobj().decompress(bytes(self.content), MAX_CONTENT)
