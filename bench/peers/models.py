"""The table of recipients that the Celery peer reads and ticks off."""

from typing import ClassVar

from django.db import models


class Recipient(models.Model):
    address = models.CharField(max_length=320)
    context = models.JSONField()
    sent_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["Recipient"]] = models.Manager()

    class Meta:
        app_label = "peers"
        indexes: ClassVar = [
            models.Index(fields=["id"], name="recipient_unsent", condition=models.Q(sent_at=None))
        ]
