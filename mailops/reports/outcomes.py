"""What became of mail: numbers of one set of messages, and the rates that thresholds speak of."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from mailops.outbox.models import EventKind

KINDS = (
    EventKind.ACCEPTED,
    EventKind.DELIVERED,
    EventKind.BOUNCED,
    EventKind.RETURNED,
    EventKind.COMPLAINED,
    EventKind.UNSUBSCRIBED,
    EventKind.DEFERRED,
    EventKind.FAILED,
    EventKind.EXPIRED,
    EventKind.UNCERTAIN,
)
REFUSALS = (EventKind.BOUNCED, EventKind.RETURNED, EventKind.FAILED)  # each has a reason

Thresholds = tuple[tuple[float, str, str], ...]  # (percent, words, tone), the lowest first

# Mail providers act on these; the first tells, the last must never be reached.
BOUNCE_THRESHOLDS = (
    (2.0, "warn at 2 %", "warn"),
    (5.0, "act at 5 %", "bad"),
    (10.0, "stop at 10 %", "bad"),
)
COMPLAINT_THRESHOLDS = ((0.08, "warn at 0.08 %", "warn"), (0.1, "act at 0.1 %", "bad"), (0.3, "never above 0.3 %", "bad"))  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """The thresholds that are drawn into charts."""

    bounces: Thresholds = BOUNCE_THRESHOLDS
    complaints: Thresholds = COMPLAINT_THRESHOLDS
    to_accept: Thresholds = ()  # in seconds: what a stream promises


@dataclass(frozen=True)
class Outcome:
    """Of the messages of one cohort: all events, whenever they came."""

    accepted: int = 0
    delivered: int = 0
    bounced: int = 0  # refused in the session
    returned: int = 0  # accepted first, returned later
    complained: int = 0
    unsubscribed: int = 0
    deferred: int = 0
    failed: int = 0
    expired: int = 0
    uncertain: int = 0
    bounced_otherwise: int = 0  # for other reasons than the one that is looked for: answered, too

    @classmethod
    def of(cls, kinds: Mapping[str, int]) -> "Outcome":
        return cls(**{name: kinds.get(name, 0) for name in _NAMES})

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(**{name: getattr(self, name) + getattr(other, name) for name in _NAMES})

    @property
    def answered(self) -> int:
        """How many got a final answer; what came back later was accepted first and counts once."""
        return self.accepted + self.bounced + self.bounced_otherwise

    @property
    def all_bounced(self) -> int:
        return self.bounced + self.returned

    @property
    def stayed(self) -> int:
        return self.accepted - self.returned

    @property
    def acceptance(self) -> float | None:
        return percent(self.accepted, self.answered)

    @property
    def bounce_rate(self) -> float | None:
        return percent(self.all_bounced, self.answered)

    @property
    def complaint_rate(self) -> float | None:
        return percent(self.complained, self.accepted)


_NAMES = tuple(field.name for field in fields(Outcome))


def percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def state_of(rate: float | None, thresholds: Thresholds) -> tuple[str, str]:
    """Return the tone of `rate` and the words for it: the highest threshold it reached, or the first one it is under."""
    if not thresholds:
        return "", ""
    reached = [(words, tone) for value, words, tone in thresholds if (rate or 0) >= value]
    if reached:
        words, tone = reached[-1]
        return tone, f"over: {words}"
    return "ok", f"under {thresholds[0][0]:g} %"
