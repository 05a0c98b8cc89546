"""Says how a simulated mailbox behaves, by the local part of its address."""

import re
from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    RCPT = "RCPT TO"
    DATA = "the final dot"
    LATER = "after accepting"


@dataclass(frozen=True, slots=True)
class Behavior:
    """One kind of simulated mailbox: `reply` is what it answers where it refuses, `phase` is when it acts."""

    name: str
    phase: Phase
    does: str
    reply: str = ""

    @property
    def example(self) -> str:
        return f"{self.name}@example.net"


ACCEPT = Behavior("accept", Phase.DATA, "Accepts the message and keeps it; so does any other name.")
BEHAVIORS = {
    behavior.name: behavior
    for behavior in (
        ACCEPT,
        Behavior(
            "bounce",
            Phase.RCPT,
            "Refuses for good: there is no such mailbox.",
            "550 5.1.1 No such mailbox here",
        ),
        Behavior(
            "full",
            Phase.RCPT,
            "Refuses for now, however often it is tried: the mailbox is full.",
            "452 4.2.2 Mailbox full",
        ),
        Behavior(
            "policy",
            Phase.DATA,
            "Takes the body and refuses it for good as against its policy.",
            "550 5.7.1 Message refused by local policy",
        ),
        Behavior(
            "defer",
            Phase.DATA,
            "Refuses a message twice for now, and accepts it the third time.",
            "451 4.3.0 Try again later",
        ),
        Behavior("slow", Phase.DATA, "Waits 5 seconds before it accepts."),
        Behavior(
            "drop",
            Phase.DATA,
            "Takes the body and closes the connection without a reply; keeps nothing.",
        ),
        Behavior(
            "later-bounce",
            Phase.LATER,
            "Accepts, then sends a bounce report (RFC 3464) to the envelope sender, unless it wants none (NOTIFY).",
        ),
        Behavior(
            "complain",
            Phase.LATER,
            "Accepts, then sends a complaint report (RFC 5965) about the message.",
        ),
        Behavior(
            "unsubscribe",
            Phase.LATER,
            "Accepts, then performs the one-click POST of List-Unsubscribe (RFC 8058).",
        ),
    )
}
_NAMED = re.compile(r"({})(?:\d+|[+-].*)?".format("|".join(BEHAVIORS)), re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"[^+]*\+([A-Za-z0-9][A-Za-z0-9._-]{0,62})")


def behavior_of(recipient: str) -> Behavior:
    """Return the behavior of the mailbox `recipient`: `bounce`, `bounce17`, `bounce-ada` and `bounce+ada` are one."""
    named = _NAMED.fullmatch(recipient.rpartition("@")[0])
    return BEHAVIORS[named.group(1).lower()] if named else ACCEPT


def tag_of(recipient: str) -> str:
    """Return the tag after the plus of the local part, lower case; numbers only tell addresses apart: no tag."""
    found = _TAG.fullmatch(recipient.rpartition("@")[0])
    tag = found.group(1).lower() if found else ""
    return "" if tag.isdigit() else tag
