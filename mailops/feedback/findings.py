"""What reading one piece of feedback came to, before anything is written."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from mailops.feedback.models import RawFeedback
from mailops.outbox.models import EventKind, Message
from mailops.outbox.recording import Outcome
from mailops.protocol.aggregate_report import DmarcReport, TlsReport
from mailops.protocol.classification import Classification
from mailops.suppressions.models import Suppression
from mailops.tracking.counting import NewLook

UNMATCHED = (
    "It names no message of ours: there is neither a token that we signed, "
    "nor a Message-ID together with the recipient it went to."
)


@dataclass(frozen=True, kw_only=True)
class Consequence:
    """One event of one message, and why its address must not be written to again, if so."""

    outcome: Outcome
    message: Message
    suppression: str = ""  # a Suppression.Reason
    in_stream_only: bool = False
    looks: tuple[NewLook, ...] = ()  # to be counted, the first time

    @property
    def was_asked_for(self) -> bool:
        """Whether the recipient wants no more mail, whichever round of the message made them say so."""
        return Suppression(reason=self.suppression).was_asked_for


@dataclass(frozen=True, kw_only=True)
class Finding:
    state: RawFeedback.State
    kind: str
    reason: str
    is_verified: bool = False
    message: Message | None = None
    result: dict[str, Any] = field(default_factory=dict)
    consequences: tuple[Consequence, ...] = ()
    aggregate: DmarcReport | TlsReport | None = None  # to be kept with its domain


class NotYet(Exception):
    """It can't be read just now; `after` says when to try again, the text says why."""

    def __init__(self, sentence: str, after: timedelta) -> None:
        super().__init__(sentence)
        self.sentence, self.after = sentence, after


def bounce(outcome: Outcome, message: Message, meaning: Classification) -> Consequence:
    """Return the consequence of an out-of-band bounce; one that may pass suppresses only when repeated (soft_bounces)."""
    return Consequence(
        outcome=outcome,
        message=message,
        suppression=Suppression.Reason.HARD_BOUNCE if meaning.suppress else "",
    )


def complaint(outcome: Outcome, message: Message) -> Consequence:
    return Consequence(outcome=outcome, message=message, suppression=Suppression.Reason.COMPLAINT)


def quarantined(reason: str, *, kind: str, **found: Any) -> Finding:
    """Return the finding that changes nothing and is shown to people."""
    return Finding(state=RawFeedback.State.QUARANTINED, kind=kind, reason=reason, **found)


def processed(reason: str, *, kind: str, **found: Any) -> Finding:
    return Finding(state=RawFeedback.State.PROCESSED, kind=kind, reason=reason, **found)


def sentence_of(kind: EventKind, message: Message) -> str:
    return f"Recorded as “{kind.label}” of the message to {message.recipient}."
