"""Deltas of counts, written with the events they count."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models


class CountKey(models.Model):
    """What a count is of; `outbox.Tally` and `reports.Count` share it."""

    class Measure(models.TextChoices):
        EVENT = "event", "Event"  # `kind` is an EventKind
        # `kind` is a Status; n is signed, the sum is how many are in it now
        STATUS = "status", "Status"
        # latencies: `kind` is a slot of outbox.slots; of all versions, and of domains without a name together
        ACCEPT = "accept", "Time to accept"  # owed → accepted
        ARRIVE = "arrive", "Time to deliver"  # accepted → delivered
        QUEUE = "queue", "Wait in the queue"  # due → its body began to go out

    KEY: ClassVar = [
        "bucket_at",
        "cohort_at",
        "measure",
        "kind",
        "reason",
        "stream_id",
        "campaign_id",
        "transport_id",
        "domain_id",
        "version_id",
        "mailbox_provider",
    ]

    bucket_at = models.DateTimeField()  # the quarter hour in which it happened
    # the quarter hour in which the message was accepted
    cohort_at = models.DateTimeField(null=True)
    measure = models.CharField(max_length=6, choices=Measure.choices)
    kind = models.CharField(max_length=15)
    reason = models.CharField(max_length=40, blank=True)
    stream_id = models.BigIntegerField()
    campaign_id = models.BigIntegerField(null=True)
    transport_id = models.BigIntegerField(null=True)
    domain_id = models.BigIntegerField()  # of the header From
    version_id = models.BigIntegerField(null=True)
    mailbox_provider = models.CharField(max_length=100, blank=True)
    n = models.BigIntegerField()

    class Meta:
        abstract = True


class Tally(CountKey):
    """A count's delta, written in the transaction that inserts the events; folded and deleted by reports."""

    # The slots of its events' latencies, in any order: one row counts a whole group, however different they are.
    took = ArrayField(models.SmallIntegerField(), null=True)
    waited = ArrayField(models.SmallIntegerField(), null=True)
