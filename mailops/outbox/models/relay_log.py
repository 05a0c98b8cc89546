"""A relay's log, and what it says of uncertain messages."""

from datetime import datetime
from typing import ClassVar

from django.db import models

from mailops.lib.chunked_work import ChunkedWork
from mailops.outbox.models.message import Message


class RelayLog(ChunkedWork):
    """A relay's log that a person uploaded, to learn what became of uncertain messages; reading it is the job."""

    file_name = models.CharField(max_length=254)
    size = models.PositiveBigIntegerField()  # bytes as uploaded
    is_packed = models.BooleanField(default=False)  # gzip
    # through which one comes to that relay
    transport = models.ForeignKey(
        "transports.Transport", on_delete=models.CASCADE, related_name="+"
    )
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
        # named, but not when it was sent: a clock or a zone is wrong
        OTHER_TIME = (0, "At another time")
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
