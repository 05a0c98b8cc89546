"""A person's wish to send again what a filter chose."""

from urllib.parse import urlencode

from django.db import models

from mailops.outbox.models.chunked_work import ChunkedWork


class Resending(ChunkedWork):
    """Messages to be sent again, chosen by a filter at a moment; queueing them is the job."""

    key = models.UUIDField(unique=True)  # made with the preview, so that two presses are one act
    chosen = models.JSONField()  # the filter of the message list, as its address has it
    until = models.DateTimeField()  # what ended badly after this moment is not meant
    # `cursor` is the id of the last message looked at
    planned = models.PositiveBigIntegerField(default=0)
    queued = models.PositiveBigIntegerField(default=0)  # in a new round
    hastened = models.PositiveBigIntegerField(default=0)  # deferred ones, due at once
    passed_over = models.PositiveBigIntegerField(
        default=0
    )  # changed meanwhile, or in a worker's hands

    def __str__(self) -> str:
        return f"Send again: {self.planned:,} messages"

    @property
    def chosen_query(self) -> str:
        """The address of the messages it is about, whatever became of them."""
        return urlencode({name: value for name, value in self.chosen.items() if name != "status"})

    @property
    def looked_at(self) -> int:
        return self.queued + self.hastened + self.passed_over
