"""The fold: what one more event makes of a message (states.md, rules W1 to W7); pure, and the only place that decides it."""

from collections.abc import Callable
from dataclasses import dataclass

from mailops.outbox.models import CLOSED_STATUSES, EventKind, Evidence, Status
from mailops.transports.models import Stream

SESSION_ATTEMPTS = 3  # a message is deferred alone each time it has lost this many sessions
MOST_ATTEMPTS = 32_767  # that its column counts; more change nothing

RETRIABLE = frozenset(
    {Status.BOUNCED, Status.FAILED, Status.EXPIRED, Status.UNCERTAIN, Status.CANCELED}
)

# What a message comes to once a round, however many tell of it: a refusal in session and a bounce later are one bounce.
COUNTED_ONCE = {
    EventKind.ACCEPTED: EventKind.ACCEPTED,
    EventKind.DELIVERED: EventKind.DELIVERED,
    EventKind.BOUNCED: EventKind.BOUNCED,
    EventKind.RETURNED: EventKind.BOUNCED,
    EventKind.COMPLAINED: EventKind.COMPLAINED,
    EventKind.UNSUBSCRIBED: EventKind.UNSUBSCRIBED,
}

_STATUS_OF_EVIDENCE = {
    Evidence.ACCEPTED: Status.ACCEPTED,
    Evidence.DELIVERED: Status.DELIVERED,
    Evidence.RETURNED: Status.BOUNCED,
}


@dataclass
class Entry:
    """The queue entry as the fold leaves it; it keeps its due time unless it is released."""

    fence: int | None = None
    is_marked: bool = False
    is_held: bool = False
    attempts: int = 0
    session_attempts: int = 0
    is_released: bool = False  # clear worker, fence and mark (W8)
    backs_off: bool = False  # due again after the stream's back-off, else at once where released

    def release(self, *, backs_off: bool = False, is_held: bool = False) -> None:
        self.fence, self.is_marked = None, False
        self.is_released, self.backs_off, self.is_held = True, backs_off, is_held


@dataclass
class Standing:
    """What the fold reads and writes of a message; `entry` is None exactly when the message is closed."""

    status: Status
    evidence: Evidence = Evidence.NONE
    round: int = 0
    positive_from_round: int = 0
    settling_fence: int | None = None
    was_resent: bool = False
    guarantee: str = Stream.Guarantee.LEAVE
    is_sensitive: bool = False
    entry: Entry | None = None
    was_reopened: bool = False  # a closed message has an entry again: its campaign must run
    implies_acceptance: bool = False  # by what was told last: an unanswered attempt was taken

    def close(self, status: Status) -> None:
        self.status, self.entry = status, None

    def start_round(self) -> None:
        """Queue it again with the evidence reset (W3); positive evidence from before an out-of-band bounce is void."""
        self.round += 1
        if self.evidence == Evidence.RETURNED:
            self.positive_from_round = self.round
        if self.evidence != Evidence.NONE:  # a doubt that nothing answered goes along
            self.settling_fence = None
        self.evidence = Evidence.NONE
        entry = self._reopen()
        entry.attempts = entry.session_attempts = 0
        self.status = Status.QUEUED

    def _reopen(self) -> Entry:
        if self.entry is None:
            self.entry = Entry()
            self.was_reopened = True
        self.entry.release()
        return self.entry

    def defer(self) -> None:
        entry = self.entry if self.entry is not None else self._reopen()
        entry.release(backs_off=True)
        entry.attempts = min(entry.attempts + 1, MOST_ATTEMPTS)
        self.status = Status.DEFERRED

    @property
    def is_forgotten(self) -> bool:
        """Tell whether its content is not kept: a sensitive stream has none once nobody needs it for sending."""
        return self.is_sensitive and self.entry is None

    @property
    def asks_a_person(self) -> bool:
        """Tell whether it is held to ask whether it was sent, and not just held."""
        return self.status == Status.HELD and self.settling_fence is not None

    @property
    def is_unanswered(self) -> bool:
        """Tell whether an attempt ended without an answer, and nothing has told since what became of it."""
        return self.settling_fence is not None and self.evidence == Evidence.NONE

    def has_body_on_its_way(self, told_round: int | None) -> bool:
        """Tell whether an event of a round may be of a body on its way now."""
        is_marked = self.entry is not None and self.entry.is_marked
        return is_marked and told_round in {None, self.round}

    def owns(self, fence: int | None) -> bool:
        """Tell whether a negative result of `fence` may still act (W1)."""
        if fence is None:
            return False
        if self.entry is not None and self.entry.fence == fence:
            return True
        return self.status in {Status.UNCERTAIN, Status.HELD} and self.settling_fence == fence


@dataclass(frozen=True)
class Told:
    """The part of an event that the fold reads; `round` None means the current one."""

    kind: EventKind
    round: int | None = None
    fence: int | None = None


Rule = Callable[[Standing, Told], bool]


def _prove(evidence: Evidence) -> Rule:
    """Make a rule for positive evidence: it counts for any round since the last void one, from every status, never fenced (W1 to W3)."""

    def rule(message: Standing, told: Told) -> bool:
        if told.round is not None and told.round < message.positive_from_round:
            return False
        if evidence > message.evidence:
            message.evidence = evidence
            message.close(_STATUS_OF_EVIDENCE[evidence])
        return True

    return rule


def _returned(message: Standing, told: Told) -> bool:
    if told.round is not None and told.round != message.round:
        return False
    message.evidence = Evidence.RETURNED
    message.close(Status.BOUNCED)
    return True


def _refuse(status: Status) -> Rule:
    """Make a rule for a final refusal in session, or our own failure to make the mail."""

    def rule(message: Standing, told: Told) -> bool:
        if not message.owns(told.fence):
            return False
        message.evidence = max(message.evidence, Evidence.REFUSED)
        message.close(status)
        return True

    return rule


def _deferred(message: Standing, told: Told) -> bool:
    if not message.owns(told.fence):
        return False
    if told.fence == message.settling_fence:
        message.settling_fence = None
    if message.is_forgotten:
        message.evidence = max(message.evidence, Evidence.REFUSED)
        message.close(Status.FAILED)
    else:
        message.defer()
    return True


def _session_lost(message: Standing, told: Told) -> bool:
    if message.entry is None or told.fence is None or message.entry.fence != told.fence:
        return False
    # counted anew behind each three, and never none again in this round: it is not to ride behind another's body
    message.entry.session_attempts = message.entry.session_attempts % SESSION_ATTEMPTS + 1
    if message.entry.session_attempts == SESSION_ATTEMPTS:
        message.defer()
    else:
        message.entry.release()
    return True


def _uncertain(message: Standing, told: Told) -> bool:
    entry = message.entry
    if entry is None or told.fence is None or entry.fence != told.fence or not entry.is_marked:
        return False
    if message.guarantee == Stream.Guarantee.RESEND and not message.was_resent:
        message.was_resent = True
        message.settling_fence = told.fence
        message.start_round()
    elif message.guarantee == Stream.Guarantee.ASK:
        message.settling_fence = told.fence
        entry.release(is_held=True)
        message.status = Status.HELD
    else:
        message.settling_fence = told.fence
        message.close(Status.UNCERTAIN)
    return True


def _requeued(message: Standing, told: Told) -> bool:
    if told.fence is not None:  # an act on many doubtful ones: each is named by its fence
        is_meant = told.fence == message.settling_fence
        if not is_meant or not (message.asks_a_person or message.status == Status.UNCERTAIN):
            return False
    elif message.status not in RETRIABLE and not message.asks_a_person:
        return False
    message.start_round()
    return True


def _settled(message: Standing, told: Told) -> bool:
    is_doubtful = message.settling_fence is not None
    if not is_doubtful or message.status not in {Status.UNCERTAIN, Status.HELD}:
        return False
    if told.fence is not None and told.fence != message.settling_fence:
        return False
    message.evidence = max(message.evidence, Evidence.ACCEPTED)
    message.close(Status.ACCEPTED)
    return True


def _held(message: Standing, told: Told) -> bool:  # noqa: ARG001
    if message.entry is None or message.entry.is_marked or message.status == Status.HELD:
        return False
    message.entry.release(is_held=True)
    message.status = Status.HELD
    return True


def _released(message: Standing, told: Told) -> bool:  # noqa: ARG001
    """End a plain hold; one that asks about an uncertain message ends by `settled` or `requeued` only."""
    if message.entry is None or message.status != Status.HELD or message.asks_a_person:
        return False
    message.entry.release()
    message.status = Status.DEFERRED if message.entry.attempts else Status.QUEUED
    return True


def _stop(status: Status) -> Rule:
    """Make a rule for suppressed, expired or canceled: only while no body can be on its way (W4).

    One of which a body may have left before, in a round that nothing answered, is in doubt again.
    """

    def rule(message: Standing, told: Told) -> bool:  # noqa: ARG001
        if message.entry is None or message.entry.is_marked or message.asks_a_person:
            return False
        message.close(status if message.settling_fence is None else Status.UNCERTAIN)
        return True

    return rule


def _only_told(message: Standing, told: Told) -> bool:  # noqa: ARG001
    return False


RULES: dict[EventKind, Rule] = {
    EventKind.ACCEPTED: _prove(Evidence.ACCEPTED),
    EventKind.DELIVERED: _prove(Evidence.DELIVERED),
    # These four can only come of mail that arrived, so they settle an uncertain message.
    EventKind.OPENED: _prove(Evidence.ACCEPTED),
    EventKind.CLICKED: _prove(Evidence.ACCEPTED),
    EventKind.COMPLAINED: _prove(Evidence.ACCEPTED),
    EventKind.UNSUBSCRIBED: _prove(Evidence.ACCEPTED),
    # A relay that reports a delay has taken the mail.
    EventKind.DELAYED: _prove(Evidence.ACCEPTED),
    EventKind.RETURNED: _returned,
    EventKind.BOUNCED: _refuse(Status.BOUNCED),
    EventKind.FAILED: _refuse(Status.FAILED),
    EventKind.DEFERRED: _deferred,
    EventKind.SESSION_LOST: _session_lost,
    EventKind.UNCERTAIN: _uncertain,
    EventKind.REQUEUED: _requeued,
    EventKind.SETTLED: _settled,
    EventKind.HELD: _held,
    EventKind.RELEASED: _released,
    EventKind.SUPPRESSED: _stop(Status.SUPPRESSED),
    EventKind.EXPIRED: _stop(Status.EXPIRED),
    EventKind.CANCELED: _stop(Status.CANCELED),
    EventKind.LATE: _only_told,
    EventKind.RECLASSIFIED: _only_told,
}


def fold(message: Standing, told: Told) -> bool:
    """Change `message` by what was told; return whether it counts (else it is history only)."""
    is_of_unanswered = message.is_unanswered or message.has_body_on_its_way(told.round)
    applied = RULES[told.kind](message, told)
    was_taken = message.evidence >= Evidence.ACCEPTED
    message.implies_acceptance = is_of_unanswered and was_taken and told.kind != EventKind.ACCEPTED
    assert (message.entry is None) == (message.status in CLOSED_STATUSES)
    return applied
