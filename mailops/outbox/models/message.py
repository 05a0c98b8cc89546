"""One envelope to one recipient: its place in the ledger, and in the queue while it is open."""

from typing import ClassVar

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models.functions import Coalesce, Now

from mailops.outbox.models.replied import Replied
from mailops.outbox.models.standing import OPEN_STATUSES, Evidence, Status

# Every index and every constraint of these tables costs each message. Foreign keys have no index but those that a
# question needs: to delete a stream or a transport reads the tables, which is rare. The queue entry and what is written
# with a result have no constraints of their own: the message beside them holds the same references.


# when a message was accepted, or ended otherwise: the time by which charts place it
ANSWERED_AT = Coalesce("accepted_at", "settled_at")
IS_ANSWERED = models.Q(accepted_at__isnull=False) | models.Q(settled_at__isnull=False)
# held to ask a person whether it was sent, and not just held
IS_ASKED = models.Q(status=Status.HELD, settling_fence__isnull=False)


class Message(Replied):
    """One envelope to one recipient; written when made and when it settles, hardly between.

    What it refers to is locked by who makes it, and is kept as long as it is: constraints, which would have it looked up
    for each row, cost a third of making them.
    """

    public_id = models.UUIDField(db_default=RandomUUID(), unique=True)
    recipient = models.CharField(max_length=320)
    address_key = models.CharField(max_length=320)
    stream = models.ForeignKey(
        "transports.Stream",
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    campaign = models.ForeignKey(
        "campaigns.Campaign",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,  # message_by_campaign
        db_constraint=False,
    )
    identity = models.ForeignKey(
        "domains.Identity",
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    version = models.ForeignKey(
        "content.TemplateVersion",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    # frozen, so that a retry and the page show the mail that was sent
    merge_data = models.JSONField(default=dict)
    idempotency_key = models.CharField(max_length=200, null=True)
    token_key_id = models.CharField(max_length=16)  # which HMAC key signs its tokens

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    evidence = models.SmallIntegerField(choices=Evidence.choices, default=Evidence.NONE)
    round = models.SmallIntegerField(default=0)
    # positive evidence of earlier rounds no longer counts (W3)
    positive_from_round = models.SmallIntegerField(default=0)
    # protocol.classification's reason, or ours
    reason = models.CharField(max_length=40, blank=True)
    sentence = models.TextField(blank=True)  # why it stopped, for a person
    # outbox.Signature of the last negative reply, whatever came after it
    signature_id = models.BigIntegerField(null=True)
    transport = models.ForeignKey(
        "transports.Transport",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    transport_message_id = models.CharField(max_length=254, blank=True)
    mailbox_provider = models.CharField(max_length=100, blank=True)
    # the fence through which it became uncertain or held (W1)
    settling_fence = models.BigIntegerField(null=True)
    was_resent = models.BooleanField(default=False)  # `resend` is once ever (W5)
    created_at = models.DateTimeField(db_default=Now())
    accepted_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["campaign", "address_key"], name="message_once_a_campaign"
            ),
            models.UniqueConstraint(
                fields=["idempotency_key"],
                name="message_once_a_key",
                condition=models.Q(idempotency_key__isnull=False),
            ),
        ]
        indexes: ClassVar = [
            # search, feedback without a token
            models.Index(fields=["address_key", "-id"], name="message_by_recipient"),
            # a campaign's failures
            models.Index(fields=["campaign", "status", "id"], name="message_by_campaign"),
            models.Index(fields=["status", "-id"], name="message_by_status"),  # the list's filter
            # those held to ask a person, however many are just held
            models.Index(
                fields=["id"],
                name="message_asks",
                condition=IS_ASKED,
            ),
            # feedback by the next hop's id
            models.Index(
                fields=["transport_message_id"],
                name="message_by_transport_id",
                condition=~models.Q(transport_message_id=""),
            ),
            # the list's filter, and the retry of those
            models.Index(
                fields=["signature_id", "-id"],
                name="message_by_signature",
                condition=~models.Q(signature_id=None),
            ),
            # the list of a time, which must say the same condition; nothing of it is written before the answer, and
            # then at its end
            models.Index(
                ANSWERED_AT.desc(),
                models.F("id").desc(),
                name="message_by_answer",
                condition=IS_ANSWERED,
            ),
        ]

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def is_held(self) -> bool:
        return self.status == Status.HELD

    @property
    def is_doubtful(self) -> bool:
        """Tell whether nobody knows if it was sent: uncertain, or held to ask a person about that."""
        return self.status == Status.UNCERTAIN or (self.is_held and self.settling_fence is not None)

    @property
    def can_be_held(self) -> bool:
        return self.status in {Status.QUEUED, Status.DEFERRED}

    @property
    def can_be_released(self) -> bool:
        return self.is_held and self.settling_fence is None

    @property
    def message_id(self) -> str:
        """The Message-ID header: the same in every round."""
        return f"<{self.public_id.hex}@{self.identity.domain.name}>"

    def __str__(self) -> str:
        return f"{self.recipient} ({self.public_id})"


# of an entry: that of its message, IS_ASKED
ASKS_A_PERSON = models.Q(is_held=True, message__settling_fence__isnull=False)


class QueueEntry(models.Model):
    """The hot part of a message, there exactly while the message is open."""

    class Lane(models.TextChoices):
        TRANSACTIONAL = "transactional", "Transactional"
        BULK = "bulk", "Bulk"

    message = models.OneToOneField(
        Message,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="entry",
        db_constraint=False,
    )
    lane = models.CharField(max_length=15, choices=Lane.choices)
    stream = models.ForeignKey(
        "transports.Stream",
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    campaign = models.ForeignKey(
        "campaigns.Campaign",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,  # entry_by_campaign
        db_constraint=False,
    )
    address_key = models.CharField(max_length=320)
    mailbox_provider = models.CharField(max_length=100, blank=True)
    # by outbox_pool(): the provider where it has limits of its own; all others wait together
    pool = models.CharField(max_length=100, blank=True, db_default="")
    due_at = models.DateTimeField()
    # when it was first due in its round; attempts don't move it, hours do
    owed_at = models.DateTimeField(db_default=Now())
    # the end of the hours in which it may leave; null: at any time
    closes_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    attempts = models.SmallIntegerField(default=0)  # deferrals
    # sessions lost while it was spoken of: 0, or 1 to 3 by turns
    session_attempts = models.SmallIntegerField(default=0)
    is_held = models.BooleanField(default=False)
    worker_id = models.BigIntegerField(null=True)  # dispatch.Worker, which lies above
    transport_id = models.BigIntegerField(null=True)  # through which it was claimed last
    # the day of UTC whose numbers that claim was taken from
    claimed_on = models.DateField(null=True)
    fence = models.BigIntegerField(null=True)  # from outbox_fence, never reused (W8)
    marked_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            # the claim: each stream, campaign and pool waits by itself, in the order of due times
            models.Index(
                models.F("stream"),
                Coalesce("campaign", models.Value(0, models.BigIntegerField())),
                models.F("pool"),
                models.F("due_at"),
                models.F("message"),
                name="entry_due",
                condition=models.Q(worker_id=None, is_held=False),
            ),
            # sweeps of dead workers
            models.Index(
                fields=["worker_id"], name="entry_by_worker", condition=~models.Q(worker_id=None)
            ),
            # is a campaign done; cancel
            models.Index(fields=["campaign"], name="entry_by_campaign"),
            # how many wait for their hours, and until when
            models.Index(
                fields=["campaign", "due_at"],
                name="entry_waiting",
                condition=~models.Q(closes_at=None),
            ),
            # those whose hours are over before they left
            models.Index(
                fields=["campaign", "closes_at"],
                name="entry_closed",
                condition=~models.Q(closes_at=None),
            ),
        ]
