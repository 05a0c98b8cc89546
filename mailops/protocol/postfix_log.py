"""What a line of a Postfix log says of one queued mail: taken, refused, sent, bounced, gone (postlogd, syslog, RFC 5424 times).

A line is hostile until it fits: texts of remote servers and addresses stand in it. So each kind of line is read by one
anchored pattern, from left to right, and whatever a remote server said comes last, where it can't be taken for more.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache

MAX_LINE = 8192  # characters; syslog and Postfix cut at 2,000 or less


class Saying(StrEnum):
    """What a line says of the mail with its queue id."""

    BEGUN = "begun"  # cleanup has met its Message-ID: content is coming in, nothing is promised yet
    TAKEN = "taken"  # qmgr has it: whoever sent it had, or would have had, a 250
    REFUSED = "refused"  # cleanup or a milter refused the content
    TOLD = "told"  # a delivery agent tells what became of one recipient
    EXPIRED = "expired"  # given up, returned to its sender
    REMOVED = "removed"  # done with
    DELETED = "deleted"  # taken out of the queue by a person
    NOTHING = "nothing"  # of Postfix, but about no mail's fate
    FOREIGN = "foreign"  # of another program


class Status(StrEnum):
    """What a delivery agent tells of one recipient."""

    SENT = "sent"
    DEFERRED = "deferred"
    BOUNCED = "bounced"


@dataclass(frozen=True, slots=True)
class LogLine:
    at: datetime  # in UTC
    saying: Saying
    queue_id: str = ""
    message_id: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()  # the address it went to, and the one it was given for
    status: Status | None = None
    enhanced_status: str = ""
    relay: str = ""
    text: str = ""  # a remote server's words
    # the later reading, where the relay's clock showed its time twice or never: `at` is the earlier one
    or_at: datetime | None = None

    @property
    def latest_at(self) -> datetime:
        return self.or_at or self.at

    @property
    def is_permanent(self) -> bool:
        return self.enhanced_status.startswith("5")

    @property
    def reply(self) -> str:
        """The remote server's reply alone, without Postfix's words around it."""
        found = _SAID.fullmatch(self.text)
        return found[1] if found else self.text


class Clock:
    """Reads the times of a log: the traditional ones have no year and no zone.

    In the hour that clocks go through twice, such a time is one of two moments; so is one in the hour that they skip,
    which only another zone has. Both are given, the same one twice where there is no doubt.
    """

    def __init__(self, *, zone: tzinfo = UTC, latest: datetime) -> None:
        """`zone` is the relay's; no line is younger than `latest`, which tells the year."""
        self._zone, self._latest = zone, latest + timedelta(days=1)
        self.read = lru_cache(maxsize=64)(self._read)  # a busy log has many lines a second

    def _read(self, text: str) -> tuple[datetime, datetime] | None:
        try:
            at = self._traditional(text) if text[0].isalpha() else self._rfc_3339(text)
            both = [at.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
        except (ValueError, OverflowError):
            return None
        return min(both), max(both)

    def _rfc_3339(self, text: str) -> datetime:
        at = datetime.fromisoformat(text)
        return at if at.tzinfo else at.replace(tzinfo=self._zone)

    def _traditional(self, text: str) -> datetime:
        month = _MONTHS.index(text[:3]) + 1
        clock = [int(part) for part in text[7:15].split(":")]
        for year in range(self._latest.year, self._latest.year - 9, -1):  # a leap day is rare
            try:
                at = datetime(year, month, int(text[4:6]), *clock, tzinfo=self._zone)  # type: ignore[arg-type, misc]
            except ValueError:
                continue
            if at <= self._latest:
                return at
        raise ValueError(text)


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LINE = re.compile(
    r"(?:<\d{1,3}>)?"
    r"([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ][\d:.,]{8,18}(?:Z|[+-]\d\d:?\d\d)?)"
    r" +(\S+) +([^\s\[:]+)(?:\[\d+\])?: +(.*)",
    re.ASCII | re.DOTALL,
)
# the short form is hexadecimal; the long one has no vowels, and a z before the inode number
_QUEUE_ID = re.compile(
    r"([0-9A-F]{5,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}z[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y]{1,20}): (.*)",
    re.ASCII | re.DOTALL,
)
# an address may be quoted, and the quotes may hold a bracket and a comma
_ADDRESS = r'<((?:"(?:[^"\\]|\\.)*"|[^">])*)>'
_BEGUN = re.compile(r"message-id=(\S{1,1000})", re.ASCII)
_TAKEN = re.compile(rf"from={_ADDRESS}, size=\d+, nrcpt=\d+ \(queue active\)")
_EXPIRED = re.compile(rf"from={_ADDRESS}, status=(?:force-)?expired, returned to sender")
_REFUSED = re.compile(r"(?:milter-)?reject: (.*)", re.DOTALL)
_REFUSAL = re.compile(r": ([45]\.\d{1,3}\.\d{1,3}) ([^;]*)")
_TOLD = re.compile(
    rf"to={_ADDRESS}, (?:orig_to={_ADDRESS}, )?relay=([^,]{{1,500}}), (?:[a-z_]+=[^,]*, )*?"
    r"(?:dsn=([245]\.\d{1,3}\.\d{1,3}), )?status=([a-z-]+)(?: \((.*?)\)?)?$",
    re.DOTALL,
)
_STATUSES = frozenset(Status)
_SAID = re.compile(r"(?:host \S+ said: )?(.*?)(?: \(in reply to .{1,60} command\))?", re.DOTALL)
# what each sort of process says, by the last part of its name: postfix/smtp, postfix-out/relay/smtp
_AGENTS = frozenset({"smtp", "lmtp", "local", "virtual", "pipe", "error", "retry", "discard"})
_PROCESSES = _AGENTS | {
    "anvil", "bounce", "cleanup", "defer", "dnsblog", "flush", "master", "nqmgr", "oqmgr", "pickup",
    "postalias", "postfix-script", "postdrop", "postlog", "postlogd", "postmap", "postqueue", "postscreen",
    "postsuper", "proxymap", "proxywrite", "qmgr", "qmqpd", "relay", "rewrite", "scache", "sendmail", "showq",
    "smtpd", "smtps", "spawn", "submission", "tlsmgr", "tlsproxy", "trace", "trivial-rewrite", "verify",
}  # fmt: skip


def parse_line(line: str, clock: Clock) -> LogLine | None:
    """Return what `line` says; None where it can't be understood."""
    found = _LINE.match(line) if len(line) <= MAX_LINE else None
    times = clock.read(found[1]) if found else None
    if found is None or times is None:
        return None
    at, latest = times
    said = _said(at, found[3], found[4])
    return said if said is None or latest == at else replace(said, or_at=latest)


def _said(at: datetime, program: str, text: str) -> LogLine | None:
    _, slash, process = program.rpartition("/")
    if not slash or process not in _PROCESSES:
        return LogLine(at, Saying.FOREIGN)
    spoken_of = _QUEUE_ID.fullmatch(text)
    if spoken_of is None:
        return LogLine(at, Saying.NOTHING)
    return _understand(at, process, spoken_of[1], spoken_of[2])


def _understand(at: datetime, process: str, queue_id: str, text: str) -> LogLine | None:
    if process in _AGENTS:
        return _of_agent(at, queue_id, text)
    if process == "cleanup":
        return _of_cleanup(at, queue_id, text)
    if process in {"qmgr", "oqmgr", "nqmgr"}:
        return _of_queue_manager(at, queue_id, text)
    if process == "postsuper" and text.startswith("removed"):
        return LogLine(at, Saying.DELETED, queue_id)
    return LogLine(at, Saying.NOTHING, queue_id)


def _of_cleanup(at: datetime, queue_id: str, text: str) -> LogLine:
    if begun := _BEGUN.match(text):
        return LogLine(at, Saying.BEGUN, queue_id, message_id=begun[1])
    if refused := _REFUSED.match(text):
        # a milter's words stand before the addresses, a header check's behind them
        told = _REFUSAL.findall(refused[1])
        enhanced_status, words = told[-1] if told else ("", "")
        return LogLine(
            at, Saying.REFUSED, queue_id, enhanced_status=enhanced_status, text=words.strip()
        )
    return LogLine(at, Saying.NOTHING, queue_id)


def _of_queue_manager(at: datetime, queue_id: str, text: str) -> LogLine:
    if text == "removed":
        return LogLine(at, Saying.REMOVED, queue_id)
    if taken := _TAKEN.match(text):
        return LogLine(at, Saying.TAKEN, queue_id, sender=taken[1])
    if expired := _EXPIRED.match(text):
        return LogLine(at, Saying.EXPIRED, queue_id, sender=expired[1])
    return LogLine(at, Saying.NOTHING, queue_id)


def _of_agent(at: datetime, queue_id: str, text: str) -> LogLine | None:
    if not text.startswith("to="):
        return LogLine(at, Saying.NOTHING, queue_id)  # a remark on the way: "host … said: …"
    told = _TOLD.fullmatch(text)
    if told is None:
        return None
    given, original, relay, enhanced_status, status, words = told.groups()
    if status not in _STATUSES:
        return LogLine(at, Saying.NOTHING, queue_id)  # a probe of an address: (un)deliverable
    return LogLine(
        at,
        Saying.TOLD,
        queue_id,
        recipients=(given, original) if original else (given,),
        status=Status(status),
        enhanced_status=enhanced_status or "",
        relay=relay,
        text=words or "",
    )
