"""The ledger: messages owed and what became of them."""

from datetime import datetime
from typing import ClassVar

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models.functions import Coalesce, Now


class Status(models.TextChoices):
    QUEUED = "queued", "Queued"  # owed, may leave when due
    DEFERRED = "deferred", "Deferred"  # refused for now, will be tried again
    HELD = "held", "Held"  # a person must release it
    ACCEPTED = "accepted", "Accepted"  # the next hop took it
    DELIVERED = "delivered", "Delivered"  # the final server confirmed it
    BOUNCED = "bounced", "Bounced"  # refused for good
    FAILED = "failed", "Failed"  # we could not make it or were not allowed to send it
    SUPPRESSED = "suppressed", "Suppressed"  # the address must not be written to
    EXPIRED = "expired", "Expired"  # gave up after the stream's patience
    CANCELED = "canceled", "Canceled"  # a person stopped it
    UNCERTAIN = "uncertain", "Uncertain"  # sent or not, nobody can know


OPEN_STATUSES = frozenset({Status.QUEUED, Status.DEFERRED, Status.HELD})
CLOSED_STATUSES = frozenset(Status) - OPEN_STATUSES


class Evidence(models.IntegerChoices):
    """The strongest thing known of a message in its round (W2); the fold takes the maximum."""

    NONE = 0, "none"
    REFUSED = 1, "refused in session"
    ACCEPTED = 2, "accepted"
    DELIVERED = 3, "delivered"
    RETURNED = 4, "returned"  # an out-of-band bounce


class EventKind(models.TextChoices):
    ACCEPTED = "accepted", "Accepted"  # 2yz to the final dot, or the provider took it
    DEFERRED = "deferred", "Deferred"  # 4yz, or its session attempts were spent
    BOUNCED = "bounced", "Bounced"  # 5yz in session, the recipient's or message's fault
    RETURNED = "returned", "Bounced later"  # an out-of-band bounce: DSN or webhook
    FAILED = "failed", "Failed"  # ours: render, size, policy
    SUPPRESSED = "suppressed", "Suppressed"
    EXPIRED = "expired", "Expired"
    CANCELED = "canceled", "Canceled"
    UNCERTAIN = "uncertain", "Uncertain"  # no reply after the mark
    HELD = "held", "Held"
    RELEASED = "released", "Released"  # by a person, from held
    REQUEUED = "requeued", "Sent again"  # a new round: a person's retry, or the guarantee `resend`
    DELIVERED = "delivered", "Delivered"
    DELAYED = "delayed", "Delayed"  # a DSN of action delayed, or a webhook's deferral
    COMPLAINED = "complained", "Complained"
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed"
    OPENED = "opened", "Opened"
    CLICKED = "clicked", "Clicked"
    SESSION_LOST = "session_lost", "Session lost"  # spends a session attempt, nothing else
    LATE = "late", "Late reply"  # a reply read after the claim was lost: told, not acted on
    SETTLED = "settled", "Settled"  # a person settled an uncertain message as accepted


# Every index and every constraint of these tables costs each message. Foreign keys have no index but those that a
# question needs: to delete a stream or a transport reads the tables, which is rare. The queue entry and what is written
# with a result have no constraints of their own: the message beside them holds the same references.


class Message(models.Model):
    """One envelope to one recipient; written when made and when it settles, hardly between."""

    public_id = models.UUIDField(db_default=RandomUUID(), unique=True)
    recipient = models.CharField(max_length=320)
    address_key = models.CharField(max_length=320)
    stream = models.ForeignKey(
        "transports.Stream", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    campaign = models.ForeignKey(
        "campaigns.Campaign",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,  # message_by_campaign
    )
    identity = models.ForeignKey(
        "domains.Identity", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    version = models.ForeignKey(
        "content.TemplateVersion",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    merge_data = models.JSONField(
        default=dict
    )  # frozen, so that a retry and the page show the mail that was sent
    idempotency_key = models.CharField(max_length=200, null=True)
    token_key_id = models.CharField(max_length=16)  # which HMAC key signs its tokens

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    evidence = models.SmallIntegerField(choices=Evidence.choices, default=Evidence.NONE)
    round = models.SmallIntegerField(default=0)
    positive_from_round = models.SmallIntegerField(
        default=0
    )  # positive evidence of earlier rounds no longer counts (W3)
    reason = models.CharField(
        max_length=40, blank=True
    )  # protocol.classification's reason, or ours
    sentence = models.TextField(blank=True)  # why it stopped, for a person
    reply_code = models.SmallIntegerField(null=True)
    reply_enhanced_status = models.CharField(max_length=12, blank=True)
    reply_text = models.TextField(blank=True)
    reply_command = models.CharField(max_length=12, blank=True)
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
    settling_fence = models.BigIntegerField(
        null=True
    )  # the fence through which it became uncertain or held (W1)
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
            models.Index(
                fields=["address_key", "-id"], name="message_by_recipient"
            ),  # search, feedback without a token
            models.Index(
                fields=["campaign", "status", "id"], name="message_by_campaign"
            ),  # a campaign's failures
            models.Index(fields=["status", "-id"], name="message_by_status"),  # the list's filter
            models.Index(
                fields=["transport_message_id"],
                name="message_by_transport_id",
                condition=~models.Q(transport_message_id=""),
            ),  # feedback by the next hop's id
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
    def can_be_retried(self) -> bool:
        ended_badly = {Status.BOUNCED, Status.FAILED, Status.EXPIRED, Status.CANCELED}
        return self.is_doubtful or self.status in ended_badly

    @property
    def message_id(self) -> str:
        """The Message-ID header: the same in every round."""
        return f"<{self.public_id.hex}@{self.identity.domain.name}>"

    @property
    def reply_line(self) -> str:
        return (
            f"{self.reply_code} {self.reply_text}".strip() if self.reply_code else self.reply_text
        )

    def __str__(self) -> str:
        return f"{self.recipient} ({self.public_id})"


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
    pool = models.CharField(
        max_length=100, blank=True, db_default=""
    )  # by outbox_pool(): the provider where it has limits of its own; all others wait together
    due_at = models.DateTimeField()
    closes_at = models.DateTimeField(
        null=True
    )  # the end of the hours in which it may leave; null: at any time
    expires_at = models.DateTimeField()
    attempts = models.SmallIntegerField(default=0)  # deferrals
    session_attempts = models.SmallIntegerField(default=0)  # sessions lost while it was spoken of
    is_held = models.BooleanField(default=False)
    worker_id = models.BigIntegerField(null=True)  # dispatch.Worker, which lies above
    transport_id = models.BigIntegerField(null=True)  # through which it was claimed last
    fence = models.BigIntegerField(null=True)  # from outbox_fence, never reused (W8)
    marked_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                models.F("stream"),
                Coalesce("campaign", models.Value(0, models.BigIntegerField())),
                models.F("pool"),
                models.F("due_at"),
                models.F("message"),
                name="entry_due",
                condition=models.Q(worker_id=None, is_held=False),
            ),  # the claim: each stream, campaign and pool waits by itself, in the order of due times
            models.Index(
                fields=["worker_id"], name="entry_by_worker", condition=~models.Q(worker_id=None)
            ),  # sweeps of dead workers
            models.Index(
                fields=["campaign"], name="entry_by_campaign"
            ),  # is a campaign done; cancel
            models.Index(fields=["address_key"], name="entry_by_address"),  # suppression sweeps
            models.Index(
                fields=["campaign", "due_at"],
                name="entry_waiting",
                condition=~models.Q(closes_at=None),
            ),  # how many wait for their hours, and until when
            models.Index(
                fields=["campaign", "closes_at"],
                name="entry_closed",
                condition=~models.Q(closes_at=None),
            ),  # those whose hours are over before they left
        ]


class Event(models.Model):
    """Something that happened to a message; append-only, one for each (source, external id)."""

    message = models.ForeignKey(
        Message,
        on_delete=models.CASCADE,
        related_name="events",
        db_index=False,  # event_by_message
    )
    kind = models.CharField(max_length=15, choices=EventKind.choices)
    source = models.CharField(
        max_length=30
    )  # "dispatch", "dsn", "arf", "webhook:amazon_ses", "unsubscribe", "person", "demo"
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
    reply_code = models.SmallIntegerField(null=True)
    reply_enhanced_status = models.CharField(max_length=12, blank=True)
    reply_text = models.TextField(blank=True)
    reply_command = models.CharField(max_length=12, blank=True)
    was_applied = models.BooleanField(
        default=True
    )  # False: told, but not counted (a late reply, an old round)
    data = models.JSONField(default=dict)  # phase, peer, raw feedback id, who

    @property
    def reply_line(self) -> str:
        return (
            f"{self.reply_code} {self.reply_text}".strip() if self.reply_code else self.reply_text
        )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "external_id"], name="event_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["message", "id"], name="event_by_message")
        ]  # the timeline


class CountKey(models.Model):
    """What a count is of; `outbox.Tally` and `reports.Count` share it."""

    class Measure(models.TextChoices):
        EVENT = "event", "Event"  # `kind` is an EventKind
        STATUS = (
            "status",
            "Status",
        )  # `kind` is a Status; n is signed, the sum is how many are in it now

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
    cohort_at = models.DateTimeField(
        null=True
    )  # the quarter hour in which the message was accepted
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


class ChunkedWork(models.Model):
    """Work that goes on in chunks of one transaction each, can be cut off anywhere and is doubled by nobody."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        COMPLETED = "completed", "Completed"
        STOPPED = "stopped", "Stopped"  # by a person
        FAILED = "failed", "Failed"  # `sentence` says why

    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    cursor = models.BigIntegerField(default=0)  # how far it is
    failures = models.PositiveSmallIntegerField(default=0)  # chunks that failed in a row
    sentence = models.TextField(blank=True)
    detail = models.TextField(blank=True)  # the technical text behind the sentence
    created_by = models.ForeignKey(
        "accounts.User", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    @property
    def is_running(self) -> bool:
        return self.state == self.State.RUNNING

    @property
    def is_completed(self) -> bool:
        return self.state == self.State.COMPLETED

    @property
    def is_stopped(self) -> bool:
        return self.state == self.State.STOPPED

    @property
    def has_failed(self) -> bool:
        return self.state == self.State.FAILED

    @property
    def actor_name(self) -> str:
        return self.created_by.email if self.created_by else ""


class RelayLog(ChunkedWork):
    """A relay's log that a person uploaded, to learn what became of uncertain messages; reading it is the job."""

    file_name = models.CharField(max_length=254)
    size = models.PositiveBigIntegerField()  # bytes as uploaded
    is_packed = models.BooleanField(default=False)  # gzip
    transport = models.ForeignKey(
        "transports.Transport", on_delete=models.CASCADE, related_name="+"
    )  # through which one comes to that relay
    time_zone = models.CharField(max_length=64)  # of times that name none
    is_current = models.BooleanField(default=False)  # nothing was written behind its last line
    # `cursor` is the byte behind the last line read, unpacked
    lines = models.PositiveBigIntegerField(default=0)
    foreign = models.PositiveBigIntegerField(default=0)  # lines of other programs
    not_understood = models.PositiveBigIntegerField(default=0)
    examples = models.JSONField(default=list)  # [line number, text] of some not understood
    mails = models.PositiveBigIntegerField(default=0)  # lines that name a Message-ID
    ours = models.PositiveBigIntegerField(default=0)  # of those, of messages that mailops sent
    first_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.file_name

    @property
    def covers_until(self) -> datetime | None:
        """The moment up to which its silence says something."""
        return self.created_at if self.is_current and self.last_at else self.last_at


class RelayLogPiece(models.Model):
    """A piece of an uploaded log, kept until it is read."""

    log = models.ForeignKey(
        RelayLog, on_delete=models.CASCADE, related_name="pieces", db_index=False
    )
    position = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["log", "position"], name="relay_log_piece_once")
        ]


class RelayLogMail(models.Model):
    """A mail in the relay's queue, at the place the reading has come to, that carries an uncertain message."""

    log = models.ForeignKey(RelayLog, on_delete=models.CASCADE, related_name="+", db_index=False)
    queue_id = models.CharField(max_length=50)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+", db_index=False)
    is_in_time = models.BooleanField()  # it came when the message was sent
    is_told = models.BooleanField(default=False)  # what became of the recipient is known

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["log", "queue_id"], name="relay_log_mail_once")
        ]


class RelayLogFinding(models.Model):
    """What a log says of one uncertain message; a later verdict outranks an earlier one."""

    class Verdict(models.IntegerChoices):
        OTHER_TIME = (
            0,
            "At another time",
        )  # named, but not when it was sent: a clock or a zone is wrong
        NOT_TAKEN = 1, "Broken off"  # it came in part, or was refused for the moment
        REFUSED = 2, "Refused"  # its content was refused for good
        WAITING = 3, "In the relay's queue"
        SENT = 4, "Sent on"
        DELETED = 5, "Deleted at the relay"
        EXPIRED = 6, "Given up by the relay"
        BOUNCED = 7, "Bounced"

    log = models.ForeignKey(
        RelayLog, on_delete=models.CASCADE, related_name="findings", db_index=False
    )
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+", db_index=False)
    settling_fence = models.BigIntegerField()  # of the doubt it speaks of
    verdict = models.SmallIntegerField(choices=Verdict.choices)
    is_by_recipient = models.BooleanField(default=False)  # by the address alone
    at = models.DateTimeField()
    queue_id = models.CharField(max_length=50)
    relay = models.CharField(max_length=254, blank=True)
    enhanced_status = models.CharField(max_length=12, blank=True)
    text = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["log", "message"], name="relay_log_finding_once")
        ]


class Settlement(ChunkedWork):
    """A person's act on many uncertain messages; settling them is the job."""

    class Act(models.TextChoices):
        ACCEPT = "accept", "Count as accepted"
        AGAIN = "again", "Send again"
        BY_LOG = "by_log", "As the relay's log says"
        DOUBT = "doubt", "Put in doubt"  # what a campaign owes after a restore

    key = models.UUIDField(unique=True)  # made with the preview, so that two presses are one act
    act = models.CharField(max_length=10, choices=Act.choices)
    # which: those doubtful at `until`, by fences up to `fence_until`, that fit what is given here
    until = models.DateTimeField()
    fence_until = models.BigIntegerField()
    campaign = models.ForeignKey(
        "campaigns.Campaign", null=True, on_delete=models.CASCADE, related_name="+"
    )
    stream = models.ForeignKey(
        "transports.Stream", null=True, on_delete=models.CASCADE, related_name="+"
    )
    transport = models.ForeignKey(
        "transports.Transport", null=True, on_delete=models.CASCADE, related_name="+"
    )
    reason = models.CharField(max_length=40, blank=True)
    is_asked = models.BooleanField(null=True)  # held to ask a person, or at rest; null: both
    # as it says; or, to send again, those of which it has no trace
    relay_log = models.ForeignKey(
        RelayLog, null=True, on_delete=models.SET_NULL, related_name="settlements"
    )
    trusts_recipients = models.BooleanField(
        default=False
    )  # also what was found by the address alone
    # `cursor` is the id of the last message looked at
    planned = models.PositiveBigIntegerField(default=0)
    settled = models.PositiveBigIntegerField(default=0)
    passed_over = models.PositiveBigIntegerField(
        default=0
    )  # not doubtful any more, or not to be sent

    def __str__(self) -> str:
        return f"{self.get_act_display()}: {self.planned:,} messages"

    @property
    def is_doubting(self) -> bool:
        return self.act == self.Act.DOUBT
