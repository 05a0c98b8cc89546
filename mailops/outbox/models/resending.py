"""A person's wish to send again what a filter chose, or much of a campaign."""

from typing import ClassVar
from urllib.parse import urlencode

from django.db import models

from mailops.campaigns.models import Campaign
from mailops.lib.chunked_work import ChunkedWork


class ResendingQuerySet(models.QuerySet["Resending"]):
    def retrying(self, campaign: Campaign | models.OuterRef) -> "ResendingQuerySet":
        """Keep the retry of the campaign that goes on, of which there is one at most."""
        return self.filter(campaign=campaign, state=Resending.State.RUNNING)

    def touching(self, campaign: Campaign | models.OuterRef) -> "ResendingQuerySet":
        """Keep those that go on and may queue messages of the campaign: its retry, and all of a filter."""
        ours = models.Q(campaign=campaign) | models.Q(campaign=None)
        return self.filter(ours, state=Resending.State.RUNNING)


class Resending(ChunkedWork):
    """Messages to be sent again, chosen by a filter at a moment; queueing them is the job."""

    # of its retry, which keeps it open and takes what of it is canceled or uncertain, too; else a filter's of any mail
    campaign = models.ForeignKey(Campaign, null=True, on_delete=models.CASCADE, related_name="+")
    key = models.UUIDField(unique=True)  # made with the preview, so that two presses are one act
    chosen = models.JSONField()  # the filter of the message list, as its address has it
    until = models.DateTimeField()  # what ended badly after this moment is not meant
    # `cursor` is the id of the last message looked at
    planned = models.PositiveBigIntegerField(default=0)
    queued = models.PositiveBigIntegerField(default=0)  # in a new round
    hastened = models.PositiveBigIntegerField(default=0)  # deferred ones, due at once
    # changed meanwhile, or in a worker's hands
    passed_over = models.PositiveBigIntegerField(default=0)

    objects: ClassVar[models.Manager["Resending"]] = ResendingQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Send again: {self.planned:,} messages"

    @property
    def chosen_query(self) -> str:
        """The address of the messages it is about, whatever became of them."""
        return urlencode({name: value for name, value in self.chosen.items() if name != "status"})

    @property
    def looked_at(self) -> int:
        return self.queued + self.hastened + self.passed_over

    @property
    def left_out(self) -> int:
        """How many of those planned did not fit any more when their turn came; known once it is completed."""
        return max(0, self.planned - self.looked_at) if self.is_completed else 0
