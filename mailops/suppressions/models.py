"""Addresses we must not write to, why, until when, in which stream."""

from typing import ClassVar

from django.db import models


class Suppression(models.Model):
    class Reason(models.TextChoices):
        HARD_BOUNCE = "hard_bounce", "Hard bounce"  # the mailbox does not exist
        SOFT_BOUNCES = "soft_bounces", "Repeated soft bounces"
        COMPLAINT = "complaint", "Complaint"
        UNSUBSCRIBE = "unsubscribe", "Unsubscribed"
        MANUAL = "manual", "Added by hand"
        IMPORTED = "imported", "Imported"

    address = models.CharField(max_length=320)  # as given
    address_key = models.CharField(max_length=320)  # protocol.address.address_key
    stream = models.ForeignKey(
        "transports.Stream", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )  # null: all streams
    reason = models.CharField(max_length=15, choices=Reason.choices)
    evidence_event_id = models.BigIntegerField(null=True)  # outbox.Event, which lies above
    evidence_text = models.TextField(blank=True)
    created_by = models.CharField(max_length=254, default="mailops")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["address_key", "stream"], nulls_distinct=False, name="suppression_once"
            )
        ]

    def __str__(self) -> str:
        return self.address
