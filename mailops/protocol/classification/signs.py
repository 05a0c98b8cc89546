"""By what a reason is known: the texts, enhanced statuses and codes of replies."""

import re
from dataclasses import dataclass

from mailops.protocol.classification.meanings import Reason

BEFORE_ANYONE = frozenset({"connect", "tls", "banner", "ehlo", "auth", "mail"})
_IN_SESSION = BEFORE_ANYONE | {"rcpt", "data", "body"}
_UP_TO_LOGIN = frozenset({"connect", "tls", "banner", "ehlo", "auth"})


@dataclass(frozen=True, slots=True)
class Sign:
    """By what a reason is known; what is left empty matches anything."""

    reason: Reason
    text: re.Pattern[str] | None = None
    statuses: frozenset[str] = frozenset()  # the last two numbers: "1.1"
    codes: frozenset[int] = frozenset()
    phases: frozenset[str] = frozenset()

    def fits(self, text: str, status: str, code: int, phase: str) -> bool:
        return (
            (not self.phases or phase in self.phases)
            and (not self.codes or code in self.codes)
            and (not self.statuses or status in self.statuses)
            and (self.text is None or self.text.search(text) is not None)
        )


def says(reason: Reason, *phrases: str, phases: frozenset[str] = frozenset()) -> Sign:
    return Sign(reason, text=re.compile("|".join(phrases)), phases=phases)


def has(
    reason: Reason, *statuses: str, text: str = "", phases: frozenset[str] = frozenset()
) -> Sign:
    pattern = re.compile(text) if text else None
    return Sign(reason, text=pattern, statuses=frozenset(statuses), phases=phases)


def _is(reason: Reason, *codes: int, phases: frozenset[str] = frozenset()) -> Sign:
    return Sign(reason, codes=frozenset(codes), phases=phases)


_AUTH = frozenset({"auth"})

# What subcodes say for themselves (the two numbers after the class): IANA's registry, and what the big receivers document.
SUBCODES: tuple[Sign, ...] = (
    has(Reason.TLS_REQUIRED, "7.10", "7.11"),
    has(Reason.UNKNOWN_MAILBOX, "1.1"),
    has(Reason.UNKNOWN_DOMAIN, "1.2"),
    has(Reason.BAD_ADDRESS, "1.3", "1.4"),
    has(Reason.MAILBOX_MOVED, "1.6"),
    has(Reason.SENDER_REFUSED, "1.7", "1.8"),
    has(Reason.NO_MAIL_DOMAIN, "1.10"),
    has(Reason.MAILBOX_DISABLED, "2.1"),
    has(Reason.MAILBOX_FULL, "2.2"),
    has(Reason.TOO_BIG, "2.3", "3.4", "7.16"),
    has(Reason.SERVER_FAULT, "2.4"),
    has(Reason.SERVER_BUSY, "3.1", "3.2", "7.15"),
    has(Reason.SERVER_FAULT, "3.3", "3.5"),
    has(Reason.UNREACHABLE, "4.1", "4.2", "4.3", "4.4"),
    has(Reason.RATE_LIMITED, "4.5", "5.3"),
    has(Reason.LOOP, "4.6"),
    has(Reason.GAVE_UP, "4.7"),
    has(Reason.LOGIN_REQUIRED, "5.1", phases=_AUTH),
    has(Reason.NOT_UNDERSTOOD, "5.1", "5.2", "5.4", "5.5", "5.6"),
    has(Reason.NEEDS_SMTPUTF8, "6.7", "6.8", "6.9", "6.10"),
    has(Reason.BAD_MESSAGE, "6.0", "6.1", "6.2", "6.3", "6.4", "6.5", "6.6"),
    has(Reason.LOGIN_FAILED, "7.8", "7.9", "7.12", "7.13", "7.14", phases=_UP_TO_LOGIN),
    has(Reason.TLS_FAILED, "7.3", "7.4", "7.5", "7.6", "7.30"),
    has(Reason.BAD_MESSAGE, "7.7"),
    has(Reason.LOGIN_REQUIRED, "7.57"),
    has(Reason.DKIM_FAILED, "7.20", "7.21", "7.22"),
    has(Reason.SPF_FAILED, "7.23", "7.24"),
    has(Reason.NO_REVERSE_DNS, "7.25"),
    has(Reason.UNAUTHENTICATED, "7.26", "7.29"),
    has(Reason.SENDER_REFUSED, "7.27"),
    has(Reason.RATE_LIMITED, "7.28"),
    has(Reason.DMARC_FAILED, "7.31", "7.32", "7.40"),
    has(Reason.BLOCKLISTED, *(f"7.{number}" for number in range(606, 650))),
    has(Reason.LOW_REPUTATION, *(f"7.{number}" for number in range(500, 700))),
    has(Reason.RECIPIENT_REFUSES, "7.2", "7.12", "7.13", "7.17", "7.18"),
)

# What says little by itself: subcodes that name no cause.
GENERAL: tuple[Sign, ...] = (
    has(Reason.LOGIN_REQUIRED, "7.0", "7.1", phases=_AUTH),
    has(Reason.SERVER_BUSY, "3.0"),
    has(Reason.UNREACHABLE, "4.0"),
    has(Reason.LOGIN_FAILED, "7.8"),
    has(Reason.POLICY, "7.0", "7.1"),
)

# What only the log-in and TLS are answered with, whatever status stands by it: 530 5.7.0 is no policy.
LOGIN_CODES: tuple[Sign, ...] = (
    _is(Reason.LOGIN_FAILED, 525, 534, 535),
    _is(Reason.LOGIN_REQUIRED, 530),
    _is(Reason.TLS_REQUIRED, 523, 524, 538),
)

# Codes, where no status was given or it says nothing (RFC 5321, 4.2; 1870; 4954; 5248; 7504).
CODES: tuple[Sign, ...] = (
    _is(Reason.SERVER_BUSY, 454, 421, phases=_UP_TO_LOGIN),
    _is(Reason.LOW_REPUTATION, 554, phases=frozenset({"connect", "banner"})),
    _is(Reason.NO_MAIL_DOMAIN, 521, 556),
    _is(Reason.SENDER_REFUSED, 550, 553, phases=frozenset({"mail"})),
    _is(Reason.RELAYING_DENIED, 551),
    _is(Reason.TOO_BIG, 552, phases=frozenset({"mail", "body", "data"})),
    _is(Reason.MAILBOX_FULL, 552, 452, phases=frozenset({"rcpt", "returned"})),
    _is(Reason.SERVER_BUSY, 421, 450, 451, 452, 454),
    _is(Reason.NOT_UNDERSTOOD, 501, 502, 503, 504, 555, 455),
    _is(Reason.NOT_UNDERSTOOD, 500, phases=_IN_SESSION),  # a report's 5.0.0 says nothing
)
