"""Test inboxes, what the sandbox's receiver captured in them, and how a simulated mailbox still has to react."""

import zlib
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class InboxQuerySet(models.QuerySet["Inbox"]):
    def with_numbers(self) -> "InboxQuerySet":
        """Add `messages` and `last_received_at`."""
        return self.annotate(
            messages=models.Count("captured"), last_received_at=models.Max("captured__received_at")
        )


class Inbox(models.Model):
    class Kind(models.TextChoices):
        DOMAIN = "domain", "Domain"  # everything to a domain
        TAG = "tag", "Tag"  # everything to local+tag@, at any domain

    kind = models.CharField(max_length=6, choices=Kind.choices)
    name = models.CharField(max_length=253)  # the domain, or the tag; lower case
    created_at = models.DateTimeField(db_default=Now())

    objects = InboxQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["kind", "name"], name="inbox_once")
        ]

    @property
    def is_tag(self) -> bool:
        return self.kind == self.Kind.TAG

    def __str__(self) -> str:
        return f"+{self.name}" if self.is_tag else self.name


class CapturedQuerySet(models.QuerySet["CapturedMessage"]):
    def light(self) -> "CapturedQuerySet":
        """Leave the content in the database, for lists."""
        return self.defer("packed")

    def matching(self, text: str) -> "CapturedQuerySet":
        """Keep those with `text` in subject, header From, recipient or Message-ID."""
        if not text:
            return self
        return self.filter(
            models.Q(subject__icontains=text)
            | models.Q(header_from__icontains=text)
            | models.Q(recipient__icontains=text)
            | models.Q(message_id__icontains=text)
        )


class CapturedMessage(models.Model):
    """One message as one recipient's mailbox got it, with the envelope it came in."""

    inbox = models.ForeignKey(Inbox, on_delete=models.CASCADE, related_name="captured")
    session = models.CharField(max_length=32)  # which conversation with the receiver
    client = models.GenericIPAddressField(null=True)  # who connected; null: not known
    helo = models.CharField(max_length=253, blank=True)
    envelope_sender = models.CharField(max_length=320, blank=True)  # empty: the null sender
    recipient = models.CharField(max_length=320)
    envid = models.CharField(max_length=100, blank=True)  # RFC 3461: what its reports are known by
    orcpt = models.CharField(max_length=500, blank=True)  # type;address its reports call it by
    notify = models.CharField(max_length=30, blank=True)  # what the client wants to be told of
    behavior = models.CharField(max_length=15)  # simulating.Behavior the mailbox showed
    message_id = models.CharField(max_length=254, blank=True)
    header_from = models.CharField(max_length=320, blank=True)
    subject = models.CharField(max_length=500, blank=True)
    size = models.PositiveIntegerField()  # octets on the wire, before packing
    packed = models.BinaryField()  # the message as it came, zlib
    received_at = models.DateTimeField(db_default=Now())

    objects = CapturedQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            # the inbox page, pruning
            models.Index(fields=["inbox", "-id"], name="captured_newest"),
            models.Index(fields=["message_id"], name="captured_by_message_id"),  # assertions
        ]

    @property
    def content(self) -> bytes:
        return zlib.decompress(self.packed)

    @property
    def sender_shown(self) -> str:
        return self.envelope_sender or "<>"

    def __str__(self) -> str:
        return self.subject or "(no subject)"


class ReactionQuerySet(models.QuerySet["Reaction"]):
    def waiting(self) -> "ReactionQuerySet":
        return self.filter(done_at=None)


class Reaction(models.Model):
    """What a simulated mailbox still does about a message after accepting it; a row, so that it survives a restart."""

    class Kind(models.TextChoices):
        BOUNCE = "bounce", "Bounce report"  # RFC 3464, to the envelope sender
        DELIVERY = "delivery", "Delivery report"  # the same, where the client asked for it
        COMPLAINT = "complaint", "Complaint report"  # RFC 5965
        UNSUBSCRIBE = "unsubscribe", "One-click unsubscribe"  # RFC 8058

    captured = models.ForeignKey(
        CapturedMessage, on_delete=models.CASCADE, related_name="reactions"
    )
    kind = models.CharField(max_length=15, choices=Kind.choices)
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    done_at = models.DateTimeField(null=True)  # it happened, or was given up
    has_succeeded = models.BooleanField(default=False)
    outcome = models.TextField(blank=True)  # what came of it, for a person

    objects = ReactionQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            # the loop's pull
            models.Index(fields=["due_at"], name="reaction_due", condition=models.Q(done_at=None))
        ]

    @property
    def is_waiting(self) -> bool:
        return self.done_at is None

    @property
    def waiting_sentence(self) -> str:
        """Say when it is tried; `outcome` is what stopped it the last time."""
        if self.attempts == 0:
            return "It follows in a moment, while the sandbox receiver runs."
        return f"It did not work yet, {self.attempts} of 20 tries are spent; it is tried again."
