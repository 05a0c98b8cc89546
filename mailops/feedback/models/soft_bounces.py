"""How far the ledger was read for mailboxes that refuse one message after another."""

from django.db import models


class SoftBounceScan(models.Model):
    """How far the ledger was read for mailboxes that refuse one message after another; one row."""

    event_id = models.BigIntegerField(default=0)  # outbox.Event
