"""What work in chunks has in common."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class ChunkedWork(models.Model):
    """Work that goes on in chunks of one transaction each, can be cut off anywhere and is doubled by nobody."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        COMPLETED = "completed", "Completed"
        STOPPED = "stopped", "Stopped"  # by a person or a restore
        FAILED = "failed", "Failed"  # `sentence` says why

    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    cursor = models.BigIntegerField(default=0)  # how far it is
    failures = models.PositiveSmallIntegerField(default=0)  # chunks that failed in a row
    sentence = models.TextField(blank=True)
    detail = models.TextField(blank=True)  # the technical text behind the sentence
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    def finish(self, state: State, sentence: str = "") -> None:
        """Be over in `state`, and say why; saves nothing."""
        self.state, self.sentence, self.finished_at = state, sentence, timezone.now()

    @property
    def is_running(self) -> bool:
        return self.state == self.State.RUNNING

    @property
    def is_completed(self) -> bool:
        return self.state == self.State.COMPLETED

    @property
    def has_failed(self) -> bool:
        return self.state == self.State.FAILED

    @property
    def actor_name(self) -> str:
        return self.created_by.email if self.created_by else ""
