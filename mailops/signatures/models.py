"""What people taught of replies, and how far the past is understood by it."""

from collections.abc import Callable
from typing import ClassVar

from django.db import models

from mailops.lib.templatetags.words import fault_words, reason_word
from mailops.outbox.models import ChunkedWork, Signature


class Lesson(ChunkedWork):
    """What a person said of a signature; understanding its past replies anew is the job."""

    key = models.UUIDField(unique=True)  # made with the preview, so that two presses are one act
    signature = models.ForeignKey(
        "outbox.Signature", on_delete=models.CASCADE, related_name="lessons"
    )
    revision = models.IntegerField()  # of the signature, which this lesson made
    before = models.JSONField()  # what was said of it until then: signatures.teaching.Word
    after = models.JSONField()
    undoes = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="+")
    # `cursor` is the id of the last event looked at; once it is completed, by the second look
    newest_event = models.BigIntegerField(default=0)  # when it began
    # what was being recorded while it began was looked at once more
    rechecked_at = models.DateTimeField(null=True)
    planned = models.PositiveBigIntegerField(default=0)  # events
    looked_at = models.PositiveBigIntegerField(default=0)
    changed = models.PositiveBigIntegerField(default=0)  # events that mean something else now
    moved = models.PositiveBigIntegerField(default=0)  # messages of another status now
    sealed = models.PositiveBigIntegerField(default=0)  # of those changed: their counts stay
    suppressed = models.PositiveBigIntegerField(default=0)  # addresses
    withdrawn = models.PositiveBigIntegerField(default=0)  # suppressions

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["signature", "revision"], name="lesson_once_a_revision")
        ]

    def __str__(self) -> str:
        return f"{self.signature}"

    @property
    def is_newest(self) -> bool:
        return self.signature.revision == self.revision

    @property
    def may_be_tried_again(self) -> bool:
        """Tell whether it failed, and no later lesson goes through the same replies."""
        return self.has_failed and self.is_newest

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """What it changed, each by name, before and after, in words."""
        return [
            (name, words(self.before.get(key, "")), words(self.after.get(key, "")))
            for key, (name, words) in _SHOWN.items()
            if self.before.get(key, "") != self.after.get(key, "")
        ]


def _owner_words(owner: str) -> str:
    return str(Signature.Owner(owner).label)


def _reason_words(reason: str) -> str:
    return reason_word(reason) if reason else "As mailops reads it"


_KINDS = {"": "As its code says", "permanent": "Final", "transient": "Passes"}
_SHOWN: dict[str, tuple[str, Callable[[str], str]]] = {
    "name": ("Name", str),
    "cause": ("Cause", str),
    "fix": ("Fix", str),
    "owner": ("Whose business", _owner_words),
    "reason": ("Reason", _reason_words),
    "kind": ("Kind", lambda kind: _KINDS[kind]),
    "fault": ("Fault", lambda fault: fault_words(fault).capitalize()),
}
