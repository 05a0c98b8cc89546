"""A person's act on many messages."""

from typing import Any

from django.db import models

from mailops.lib.chunked_work import ChunkedWork
from mailops.outbox.models.relay_log import RelayLog


def keep_while_running(collector: Any, field: Any, settlements: Any, using: str) -> None:
    """Keep a log that a settlement goes by until that is over: without it, it would be about all that is in doubt.

    Raise ProtectedError. One that is over forgets its log.
    """
    if running := list(settlements.filter(state=ChunkedWork.State.RUNNING)):
        raise models.ProtectedError("A settlement still goes by this log.", set(running))
    models.SET_NULL(collector, field, settlements, using)


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
        RelayLog, null=True, on_delete=keep_while_running, related_name="settlements"
    )
    # also what was found by the address alone
    trusts_recipients = models.BooleanField(default=False)
    # `cursor` is the id of the last message looked at
    planned = models.PositiveBigIntegerField(default=0)
    settled = models.PositiveBigIntegerField(default=0)
    # not doubtful any more, or not to be sent
    passed_over = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.get_act_display()}: {self.planned:,} messages"

    @property
    def left_out(self) -> int:
        """How many of those planned did not fit any more when their turn came; known once it is completed."""
        met = self.settled + self.passed_over
        return max(0, self.planned - met) if self.is_completed else 0

    @property
    def is_again(self) -> bool:
        return self.act == self.Act.AGAIN

    @property
    def is_doubting(self) -> bool:
        return self.act == self.Act.DOUBT
