"""What a mail must have before it goes out: a second person's word, and gates passed."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from mailops.content.models.templates import MailTemplate


class Approval(models.Model):
    """One person asked for a second look at exactly one content; another one gave it or refused."""

    template = models.ForeignKey(MailTemplate, on_delete=models.CASCADE, related_name="approvals")
    content_hash = models.CharField(max_length=64)
    note = models.TextField(blank=True)  # what changed, by who asks
    asked_by = models.ForeignKey(
        "accounts.User", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    asked_at = models.DateTimeField(auto_now_add=True)
    is_approved = models.BooleanField(null=True)  # null: nobody looked yet
    reason = models.TextField(blank=True)  # by who decides
    decided_by = models.ForeignKey(
        "accounts.User", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="nobody_approves_their_own",
                condition=~Q(is_approved=True, asked_by=models.F("decided_by")),
            )
        ]

    def __str__(self) -> str:
        return f"{self.template} {self.content_hash[:8]}"


class RequiredGate(models.Model):
    """A gate that every mail of a stream must have passed without a warning."""

    stream = models.ForeignKey(
        "transports.Stream", on_delete=models.CASCADE, related_name="required_gates"
    )
    gate = models.CharField(max_length=20)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["stream", "gate"], name="required_gate_once")
        ]
