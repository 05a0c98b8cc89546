"""Reads a negative reply, or the one a report quotes, by the table of signs."""

import re
from dataclasses import dataclass
from functools import lru_cache

from mailops.protocol.classification.exact import EXACT
from mailops.protocol.classification.folding import fold_reply
from mailops.protocol.classification.marks import reason_of
from mailops.protocol.classification.meanings import (
    MEANINGS,
    Classification,
    Fault,
    Kind,
    Reason,
    Stops,
)
from mailops.protocol.classification.signs import (
    BEFORE_ANYONE,
    CODES,
    GENERAL,
    LOGIN_CODES,
    SUBCODES,
    Sign,
)
from mailops.protocol.classification.texts import LOOSE, TEXTS
from mailops.protocol.classification.tongues import LOOSE_TONGUES, TONGUES
from mailops.protocol.reply import Reply

_FIRST_STATUS = re.compile(r"(?<![\d.])([45])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_FIRST_CODE = re.compile(r"(?<![\d.\-/:=])([45]\d\d)(?=[ \-:;,]|$)")
_QUOTED_CODE = re.compile(
    r"(?:said|says|response|reply|replied|reported|returned|answered|reason|error|server|command\)?|mta|smtp|<<<|\])"
    r"[^\n]{0,20}?[\s:;>\"'(]([45]\d\d)(?=[ \-:;,])",
    re.IGNORECASE,
)
_MAX_TEXT = 2000
_VAGUE = frozenset({Reason.POLICY, Reason.SERVER_BUSY, Reason.UNEXPLAINED})
# What may pass by itself, where a report gives neither code nor status.
_PASSING = frozenset(
    {
        Reason.MAILBOX_FULL,
        Reason.RECIPIENT_BUSY,
        Reason.GREYLISTED,
        Reason.RATE_LIMITED,
        Reason.SERVER_BUSY,
        Reason.UNREACHABLE,
        Reason.GAVE_UP,
        Reason.UNEXPLAINED,
    }
)


def classify(reply: Reply, phase: str) -> Classification:
    """Return what `reply` means in `phase` (a `sessions.Phase`, or "returned" where it came back in a report)."""
    return _classify(reply.code, reply.enhanced_status, reply.text[:_MAX_TEXT], str(phase))


def classify_report(diagnostic: str, status: str) -> Classification:
    """Return what the diagnostic text and the status of a delivery report mean (RFC 3464, 2.3.4 and 2.3.6)."""
    reply = reply_in_report(diagnostic, status)
    return classify(reply, "returned")


def explains(text: str, *, vaguely: bool = False) -> bool:
    """Tell whether the words of `text`, whatever codes stand by it, give a reason; with `vaguely`, even one like “rejected”."""
    said = Said(fold_reply(text[:_MAX_TEXT]), text[:_MAX_TEXT], "", 0, "returned")
    reason = said.clear_reason or (said.vague_reason if vaguely else None)
    return reason is not None and (vaguely or reason not in _VAGUE)


def reply_in_report(diagnostic: str, status: str) -> Reply:
    """Return the reply a report quotes: code and status from its diagnostic, the status field only where it is mute."""
    text = diagnostic[:_MAX_TEXT].replace("\0", "\ufffd").strip()
    quoted = _QUOTED_CODE.search(text)
    code = quoted or _FIRST_CODE.search(text)
    # the status of the reply that is quoted, rather than one that a relay put before it
    found = quoted and _FIRST_STATUS.search(text, quoted.end(1))
    found = found or _FIRST_STATUS.search(text)
    said = ".".join(found.groups()) if found else ""
    if said[2:] in {"", "0.0"} or (code and said[:1] != code[1][0]):
        said = status if _FIRST_STATUS.fullmatch(status) and said[2:] in {"", "0.0"} else said
    if code:
        # as in a session, the text of a reply stands without its code
        return Reply(int(code[1]), text.removeprefix(code[1]).lstrip(" -"), said)
    return Reply(int(f"{said[0]}00") if said else 0, text, said)


@lru_cache(maxsize=4096)
def _classify(code: int, enhanced_status: str, text: str, phase: str) -> Classification:
    is_quoted = bool(enhanced_status) and enhanced_status in text
    said = Said(fold_reply(text), text, enhanced_status.partition(".")[2], code, phase)
    reason = said.reason(is_quoted=is_quoted) or Reason.UNEXPLAINED
    kind = _kind(code, enhanced_status, reason, said.plain)
    if reason == Reason.SERVER_BUSY and kind == Kind.PERMANENT:
        reason = Reason.SERVER_FAULT  # busy for good: nothing is tried again
    return conclude(reason, kind, phase)


@dataclass(frozen=True, slots=True)
class Said:
    """All that a reply says, and in what order it is believed."""

    plain: str
    text: str
    status: str  # the last two numbers
    code: int
    phase: str

    def reason(self, *, is_quoted: bool) -> Reason | None:
        """Return what the reply means: words, a documented code, the subcode, vague words, and the bare code last.

        A subcode that stands in the reply itself outranks its vague words; one that another server filled in doesn't.
        """
        return (
            self._by(EXACT)
            or self._by(TEXTS)
            or self._in(TONGUES)
            or reason_of(self.text)
            or self._by(LOGIN_CODES)
            or (self._by(SUBCODES) if is_quoted else None)
            or self.vague_reason
            or self._by(SUBCODES)
            or self._by(GENERAL)
            or self._by(CODES)
        )

    @property
    def clear_reason(self) -> Reason | None:
        return self._by(EXACT) or self._by(TEXTS) or self._in(TONGUES)

    @property
    def vague_reason(self) -> Reason | None:
        return self._by(LOOSE) or self._in(LOOSE_TONGUES)

    def _by(self, signs: tuple[Sign, ...]) -> Reason | None:
        fits = (
            sign.reason
            for sign in signs
            if sign.fits(self.plain, self.status, self.code, self.phase)
        )
        return next(fits, None)

    def _in(self, tongues: tuple[tuple[Reason, re.Pattern[str]], ...]) -> Reason | None:
        return next((reason for reason, pattern in tongues if pattern.search(self.plain)), None)


def _kind(code: int, enhanced_status: str, reason: Reason, plain: str) -> Kind:
    first = str(code)[0] if 400 <= code < 600 else enhanced_status[:1]
    if not first or first not in "45":
        may_pass = reason in _PASSING or ("temporar" in plain and "permanent" not in plain)
        return Kind.TRANSIENT if may_pass else Kind.PERMANENT
    return Kind.PERMANENT if first == "5" else Kind.TRANSIENT


def conclude(reason: Reason, kind: Kind, phase: str) -> Classification:
    """Return what follows from a reason and a kind in `phase`."""
    meaning = MEANINGS[reason]
    is_final = kind == Kind.PERMANENT
    stops = meaning.stops if is_final or meaning.stops_when_transient else Stops.NONE
    if is_final and phase in BEFORE_ANYONE and meaning.fault != Fault.MESSAGE:
        # Nobody has been spoken of yet: whatever is wrong is wrong for every message.
        stops = stops if reason == Reason.SENDER_REFUSED else Stops.TRANSPORT
    return Classification(
        kind=kind,
        reason=reason,
        fault=meaning.fault,
        sentence=meaning.sentence,
        fix=meaning.fix,
        suppress=meaning.suppress and is_final and phase not in BEFORE_ANYONE,
        stops=stops,
    )
