"""Reads a relay's log, chunk by chunk, and keeps what it says of uncertain messages.

Lines come in the order of time and queue ids are used again, so a chunk is read line by line; what it needs of the
database (which Message-IDs are ours and in doubt, which queue ids carry them) is fetched before, and written behind it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from mailops.lib.chunks import MAX_FAILURES, count_failure, take
from mailops.lib.storable import storable
from mailops.outbox.doubtful import with_times
from mailops.outbox.models import (
    Message,
    RelayLog,
    RelayLogFinding,
    RelayLogMail,
    RelayLogPiece,
    Status,
)
from mailops.outbox.relay_log_taking import BrokenLog, Text
from mailops.outbox.relay_log_verdicts import SKEW
from mailops.outbox.tokens import token_key
from mailops.protocol import verp
from mailops.protocol.address import InvalidAddress, address_key
from mailops.protocol.message_id import parse_message_id
from mailops.protocol.postfix_log import MAX_LINE, Clock, LogLine, Saying, parse_line
from mailops.protocol.postfix_log import Status as Told

Verdict = RelayLogFinding.Verdict

CHUNK_LINES = 20_000  # under half a second of work
EXAMPLES = 10  # lines not understood that are shown
EXAMPLE_LENGTH = 300
# a relay may log a mail's beginning this long after we gave up
LATEST_BEGINNING = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class _Doubt:
    """An uncertain message, as the reading needs it."""

    message_id: int
    public_id: UUID
    address_key: str
    settling_fence: int
    round: int
    token_key_id: str
    began_at: datetime
    ended_at: datetime

    def has(self, at: datetime) -> bool:
        return self.began_at - SKEW <= at <= self.ended_at + LATEST_BEGINNING


@dataclass(slots=True)
class _Mail:
    """A mail in the relay's queue that carries a doubtful message."""

    doubt: _Doubt
    is_in_time: bool
    is_told: bool = False


@dataclass
class _Chunk:
    """What one chunk of lines came to."""

    log: RelayLog
    doubts: dict[UUID, _Doubt] = field(default_factory=dict)
    mails: dict[str, _Mail] = field(default_factory=dict)  # by queue id, as the lines go on
    known: set[str] = field(default_factory=set)  # queue ids that stand in the database
    by_address: dict[str, list[_Doubt]] = field(default_factory=dict)
    findings: dict[int, RelayLogFinding] = field(default_factory=dict)  # by message


class Reading:
    """A reading of one log within one process: the file stays open from chunk to chunk."""

    def __init__(self, log_id: int) -> None:
        self._log_id = log_id
        self._text: Text | None = None
        self._lines: Iterator[bytes] = iter(())

    def read_chunk(self, lines: int = CHUNK_LINES) -> bool:
        """Read the next lines; return whether more may be waiting (False also where another process is at it)."""
        try:
            with transaction.atomic():
                log = take(RelayLog.objects.all(), self._log_id)
                return log is not None and self._read(log, lines)
        except BrokenLog as broken:
            fail(log_id=self._log_id, sentence=str(broken))
            return False

    def _read(self, log: RelayLog, most: int) -> bool:
        if self._text is None or self._text.position != log.cursor:
            self._text = Text(log, start=log.cursor)
            self._lines = self._text.lines()
        raw = list(islice(self._lines, most))
        _take_in(log, raw)
        log.cursor, log.failures = self._text.position, 0
        is_end = len(raw) < most
        if is_end:
            _finish(log, RelayLog.State.COMPLETED)
        log.save()
        return not is_end


def _finish(log: RelayLog, state: RelayLog.State, sentence: str = "") -> None:
    log.finish(state, sentence)
    log.save()
    RelayLogPiece.objects.filter(log=log).delete()
    RelayLogMail.objects.filter(log=log).delete()
    if log.mails:
        # it names Message-IDs: one that it does not name is another's mail to the same address
        log.findings.filter(is_by_recipient=True).delete()


def fail(*, log_id: int, sentence: str) -> None:
    """End a reading that can't go on; what was found so far is forgotten, since it is only half of it."""
    with transaction.atomic():
        log = RelayLog.objects.select_for_update().filter(pk=log_id).first()
        if log is not None and log.is_running:
            _finish(log, RelayLog.State.FAILED, sentence)
            log.findings.all().delete()


def note_failure(log_id: int, error: Exception) -> None:
    """Count a chunk that could not be read; after a few in a row the reading fails and says why."""
    count_failure(RelayLog.objects.all(), log_id, error, give_up=_give_up)


def _give_up(log: RelayLog) -> None:
    fail(
        log_id=log.pk,
        sentence=f"The lines from {log.lines + 1:,} on could not be read in {MAX_FAILURES} tries.",
    )


def _take_in(log: RelayLog, raw: Sequence[bytes]) -> None:
    clock = Clock(zone=ZoneInfo(log.time_zone), latest=log.created_at.astimezone(UTC))
    lines = list(_understood(log, raw, clock))
    chunk = _Chunk(log)
    _look_up(chunk, lines)
    for line in lines:
        _follow(chunk, line)
    _write(chunk)


def _understood(log: RelayLog, raw: Sequence[bytes], clock: Clock) -> Iterator[LogLine]:
    """Yield the lines that speak of a mail, counting all of them."""
    for data in raw:
        log.lines += 1
        if not data.strip():
            continue
        text = data.decode("utf-8", "replace")
        line = parse_line(text, clock) if len(data) <= MAX_LINE else None
        if line is None:
            log.not_understood += 1
            if len(log.examples) < EXAMPLES:
                log.examples.append([log.lines, storable(text, EXAMPLE_LENGTH)])
            continue
        if line.saying == Saying.FOREIGN:
            log.foreign += 1
            continue
        # what it surely covers, however its times are read
        log.first_at = min(log.first_at or line.latest_at, line.latest_at)
        log.last_at = max(log.last_at or line.at, line.at)
        if line.saying != Saying.NOTHING:
            log.mails += line.saying == Saying.BEGUN
            yield line


def _look_up(chunk: _Chunk, lines: Sequence[LogLine]) -> None:
    log = chunk.log
    named = {found[0] for line in lines if (found := parse_message_id(line.message_id))}
    sent = {token.public_id for line in lines if (token := verp.parse_envelope_sender(line.sender))}
    log.ours += Message.objects.filter(public_id__in=named).count()
    chunk.doubts = {doubt.public_id: doubt for doubt in _doubts(public_id__in=named | sent)}
    queue_ids = {line.queue_id for line in lines}
    rows = list(RelayLogMail.objects.filter(log=log, queue_id__in=queue_ids))
    carried = {
        doubt.message_id: doubt for doubt in _doubts(pk__in=[row.message_id for row in rows])
    }
    for row in rows:
        chunk.known.add(row.queue_id)
        if doubt := carried.get(row.message_id):  # else it was settled meanwhile
            chunk.mails[row.queue_id] = _Mail(doubt, row.is_in_time, row.is_told)
    if not log.mails:
        keys = {key for line in lines for key in _keys(line)}
        for doubt in _doubts(address_key__in=keys):
            chunk.by_address.setdefault(doubt.address_key, []).append(doubt)
    doubts = [
        *chunk.doubts.values(),
        *carried.values(),
        *(d for ds in chunk.by_address.values() for d in ds),
    ]
    findings = log.findings.filter(message__in={doubt.message_id for doubt in doubts})
    chunk.findings = {finding.message_id: finding for finding in findings}


def _doubts(**which: Any) -> list[_Doubt]:
    if not any(which.values()):
        return []
    messages = Message.objects.filter(
        status__in=[Status.UNCERTAIN, Status.HELD], settling_fence__isnull=False, **which
    )
    names = [name for name in _Doubt.__dataclass_fields__ if name != "message_id"]
    return [_Doubt(*row) for row in with_times(messages).values_list("pk", *names)]


def _keys(line: LogLine) -> Iterator[str]:
    for address in line.recipients:
        try:
            yield address_key(address, allow_utf8=True)
        except InvalidAddress:
            continue


def _follow(chunk: _Chunk, line: LogLine) -> None:
    """Let one line say its part."""
    if line.saying == Saying.BEGUN:
        _begin(chunk, line)
        return
    mail = chunk.mails.get(line.queue_id)
    if mail is None and line.saying == Saying.TAKEN:
        mail = _taken_unseen(chunk, line)
    if mail is None:
        if line.saying == Saying.TOLD:
            _guess_by_recipient(chunk, line)
        return
    if line.saying in {Saying.REMOVED, Saying.DELETED}:
        del chunk.mails[line.queue_id]
    verdict = _verdict(mail, line)
    if verdict is not None and mail.is_in_time:
        _find(chunk, mail.doubt, line, verdict)


def _begin(chunk: _Chunk, line: LogLine) -> None:
    chunk.mails.pop(line.queue_id, None)  # a queue id that is used again
    found = parse_message_id(line.message_id)
    doubt = chunk.doubts.get(found[0]) if found else None
    if doubt is None:
        return
    is_in_time = doubt.has(line.at)
    chunk.mails[line.queue_id] = _Mail(doubt, is_in_time)
    _find(chunk, doubt, line, Verdict.NOT_TAKEN if is_in_time else Verdict.OTHER_TIME)


def _taken_unseen(chunk: _Chunk, line: LogLine) -> _Mail | None:
    """Return the mail whose beginning the log does not have, by the envelope sender that we signed for its round."""
    token = verp.parse_envelope_sender(line.sender)
    doubt = chunk.doubts.get(token.public_id) if token else None
    key = token_key(doubt.token_key_id) if doubt else None
    if token is None or doubt is None or key is None or not token.is_signed_by(key):
        return None
    if token.round != doubt.round or line.at < doubt.began_at - SKEW:
        return None
    mail = chunk.mails[line.queue_id] = _Mail(doubt, is_in_time=True)
    return mail


def _verdict(mail: _Mail, line: LogLine) -> Verdict | None:
    if line.saying == Saying.REFUSED:
        return Verdict.REFUSED if line.is_permanent else Verdict.NOT_TAKEN
    if line.saying == Saying.TOLD:
        if mail.doubt.address_key not in set(_keys(line)):
            # a copy to somebody else: what became of it says only that the mail was taken
            return Verdict.WAITING
        mail.is_told = line.status != Told.DEFERRED
        return _OF_STATUS[line.status] if line.status else None
    if line.saying in {Saying.EXPIRED, Saying.DELETED}:
        # where our recipient's end is known already, it is about somebody else's copy
        given_up = Verdict.EXPIRED if line.saying == Saying.EXPIRED else Verdict.DELETED
        return None if mail.is_told else given_up
    return Verdict.WAITING


_OF_STATUS = {
    Told.SENT: Verdict.SENT,
    Told.DEFERRED: Verdict.WAITING,
    Told.BOUNCED: Verdict.BOUNCED,
}


def _guess_by_recipient(chunk: _Chunk, line: LogLine) -> None:
    """Find a message by its address alone, where the log names no Message-IDs at all and no other could be meant."""
    for key in _keys(line):
        doubts = chunk.by_address.get(key, [])
        fitting = [one for one in doubts if one.has(line.at) and one.has(line.latest_at)]
        if len(fitting) == 1 and line.status:
            _find(chunk, fitting[0], line, _OF_STATUS[line.status], is_by_recipient=True)
            return


def _find(
    chunk: _Chunk, doubt: _Doubt, line: LogLine, verdict: Verdict, *, is_by_recipient: bool = False
) -> None:
    """Keep a verdict unless a stronger one is there; what a name proves outranks what an address suggests."""
    before = chunk.findings.get(doubt.message_id)
    if before is not None and before.settling_fence == doubt.settling_fence:
        if is_by_recipient and not before.is_by_recipient:
            return
        if verdict < before.verdict and is_by_recipient == before.is_by_recipient:
            return
    words = line.text or (before.text if before and verdict == Verdict.EXPIRED else "")
    status = line.enhanced_status or (before.enhanced_status if before and words else "")
    chunk.findings[doubt.message_id] = RelayLogFinding(
        log=chunk.log,
        message_id=doubt.message_id,
        settling_fence=doubt.settling_fence,
        verdict=verdict,
        is_by_recipient=is_by_recipient,
        at=line.at,
        queue_id=line.queue_id,
        relay=storable(line.relay, 254),
        enhanced_status=status,
        text=storable(line.reply or words, 2000),
    )


def _write(chunk: _Chunk) -> None:
    log = chunk.log
    RelayLogFinding.objects.bulk_create(
        [finding for finding in chunk.findings.values() if finding.pk is None],
        update_conflicts=True,
        unique_fields=["log", "message"],
        update_fields=[
            "settling_fence", "verdict", "is_by_recipient", "at", "queue_id", "relay",
            "enhanced_status", "text",
        ],
    )  # fmt: skip
    RelayLogMail.objects.filter(log=log, queue_id__in=chunk.known - set(chunk.mails)).delete()
    RelayLogMail.objects.bulk_create(
        [
            RelayLogMail(
                log=log,
                queue_id=queue_id,
                message_id=mail.doubt.message_id,
                is_in_time=mail.is_in_time,
                is_told=mail.is_told,
            )
            for queue_id, mail in chunk.mails.items()
        ],
        update_conflicts=True,
        unique_fields=["log", "queue_id"],
        update_fields=["message", "is_in_time", "is_told"],
    )
