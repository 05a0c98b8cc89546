"""The plan: which version, to whom, through which stream, when. It never sends."""

from typing import ClassVar

from django.db import models

from mailops.transports.models import PauseCause


class Campaign(models.Model):
    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        SCHEDULED = "scheduled", "Scheduled"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        COMPLETED = "completed", "Completed"
        CANCELED = "canceled", "Canceled"

    name = models.CharField(max_length=150)
    stream = models.ForeignKey(
        "transports.Stream", on_delete=models.PROTECT, related_name="campaigns"
    )
    identity = models.ForeignKey("domains.Identity", on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(
        "content.TemplateVersion", on_delete=models.PROTECT, related_name="campaigns"
    )
    audience = models.ForeignKey(
        "audiences.Audience", on_delete=models.PROTECT, related_name="campaigns"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    pause_cause = models.CharField(max_length=20, choices=PauseCause.choices, blank=True)
    pause_sentence = models.TextField(blank=True)
    pause_detail = models.TextField(blank=True)
    paused_at = models.DateTimeField(null=True)
    scheduled_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # expansion: the audience is read once, by membership id, up to the last one there at launch
    expansion_cursor = models.BigIntegerField(default=0)
    expansion_end = models.BigIntegerField(null=True)  # null: not started
    expanded_at = models.DateTimeField(null=True)
    planned = models.PositiveIntegerField(null=True)  # rows made; frozen with the last chunk
    duplicates = models.PositiveIntegerField(default=0)
    invalid = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(
        "accounts.User", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["state", "scheduled_at"], name="campaign_by_state"
            )  # the tick's due and running ones
        ]

    def __str__(self) -> str:
        return self.name
