"""What happened to a message."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from mailops.outbox.models.message import Message
from mailops.outbox.models.replied import Replied
from mailops.outbox.models.standing import EventKind

# in an event's data: the same was told of its round before, and is counted
TOLD_BEFORE = "told_before"
# in the data of an acceptance whose answer nobody read: the kind of the event that it follows from
IMPLIED_BY = "implied_by"


class Event(Replied):
    """Something that happened to a message; append-only, one for each (source, external id)."""

    message = models.ForeignKey(
        Message,
        on_delete=models.CASCADE,
        related_name="events",
        db_index=False,  # event_by_message
        db_constraint=False,  # who writes one has locked the message, and none is ever deleted
    )
    kind = models.CharField(max_length=15, choices=EventKind.choices)
    # "dispatch", "dsn", "arf", "webhook:amazon_ses", "unsubscribe", "person", "demo"
    source = models.CharField(max_length=30)
    external_id = models.CharField(max_length=254)
    occurred_at = models.DateTimeField()  # when it happened, by the one who told
    recorded_at = models.DateTimeField(db_default=Now())
    round = models.SmallIntegerField(default=0)
    fence = models.BigIntegerField(null=True)
    transport = models.ForeignKey(
        "transports.Transport",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    reason = models.CharField(max_length=40, blank=True)
    fault = models.CharField(max_length=20, blank=True)
    sentence = models.TextField(blank=True)
    signature_id = models.BigIntegerField(null=True)  # of a negative reply: outbox.Signature
    # False: told, but not counted (a late reply, an old round, a bounce told before)
    was_applied = models.BooleanField(default=True)
    # in milliseconds: what an acceptance took since the message was owed, a delivery since the acceptance; and how long
    # the accepted attempt had waited in the queue
    took_ms = models.IntegerField(null=True)
    waited_ms = models.IntegerField(null=True)
    data = models.JSONField(default=dict)  # phase, peer, raw feedback id, who

    @property
    def was_told_before(self) -> bool:
        """Tell whether somebody else told the same of its round: that counts, once."""
        return bool(self.data.get(TOLD_BEFORE))

    @property
    def came_too_late(self) -> bool:
        """Tell whether it was told and not counted; what a person says of an event is not counted either, nor late."""
        is_said = self.kind == EventKind.RECLASSIFIED
        return not (self.was_applied or self.was_told_before or is_said)

    @property
    def is_machines(self) -> bool:
        """Tell whether it is a look at the mail that no person is known to have taken."""
        return bool(self.data.get("who", "person") != "person")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "external_id"], name="event_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["message", "id"], name="event_by_message"),  # the timeline
            # what a lesson reclassifies
            models.Index(
                fields=["signature_id", "id"],
                name="event_by_signature",
                condition=~models.Q(signature_id=None),
            ),
        ]
