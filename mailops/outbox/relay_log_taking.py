"""Takes an uploaded relay's log in, in pieces that are rows, and gives its text out again, unpacked and never whole."""

import gzip
import io
import zlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.lib.pieces import PIECE_BYTES, NamedUpload, PieceReader, pieces_of
from mailops.outbox.models import RelayLog, RelayLogPiece, Settlement
from mailops.protocol.postfix_log import MAX_LINE
from mailops.transports.models import Transport

MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_TEXT_BYTES = 2 * 1024 * 1024 * 1024  # unpacked; twenty million lines
FORGOTTEN_AFTER = timedelta(days=7)  # logs hold people's addresses

GZIP = b"\x1f\x8b"
NO_LOG = {
    b"BZh": "This file is packed by bzip2. Unpack it, or pack it by gzip.",
    b"\xfd7zXZ": "This file is packed by xz. Unpack it, or pack it by gzip.",
    b"\x28\xb5\x2f\xfd": "This file is packed by zstd. Unpack it, or pack it by gzip.",
    b"PK\x03\x04": "This is a zip or Office file. Unpack it and upload the log inside.",
    b"%PDF": "This is a PDF file, not a log.",
    b"LPKSHHRH": "This is the journal's own file. Write it out with `journalctl -o short-iso -u postfix@-`.",
}


class NotALog(ValueError):
    """The file can't be a Postfix log; the text says what to do."""


def take_log(
    *,
    file: NamedUpload,
    transport: Transport,
    time_zone: str,
    actor: User,
    is_current: bool = False,
) -> RelayLog:
    """Store `file` to be read; raise NotALog where its beginning tells that it is none.

    `is_current`: it is the log that the relay writes, and ends where the relay has nothing more to say.
    """
    head = next(pieces_of(file), b"")
    _refuse_what_is_no_log(head)
    with transaction.atomic():
        log = RelayLog.objects.create(
            file_name=(file.name or "mail.log")[:254],
            size=file.size or 0,
            is_packed=head.startswith(GZIP),
            transport=transport,
            time_zone=time_zone,
            is_current=is_current,
            created_by=actor,
        )
        for position, piece in enumerate(pieces_of(file)):
            RelayLogPiece.objects.create(log=log, position=position, data=piece)
        audit(
            actor=actor,
            verb="relay_log.upload",
            subject=log,
            after={"file": log.file_name, "bytes": log.size, "transport": str(transport)},
        )
    return log


def _refuse_what_is_no_log(head: bytes) -> None:
    for magic, sentence in NO_LOG.items():
        if head.startswith(magic):
            raise NotALog(sentence)
    text = _unpacked_head(head) if head.startswith(GZIP) else head
    if not text.strip():
        raise NotALog("There is not one line in this file.")
    if text.count(b"\0") > len(text) // 10:
        raise NotALog("This file is no text.")


def _unpacked_head(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, PIECE_BYTES)
    except zlib.error as error:
        raise NotALog(f"This file begins like gzip, but can't be unpacked ({error}).") from error


class BrokenLog(Exception):
    """The stored file can't be read to its end; the text says where and why."""


class Text:
    """The lines of a stored log from a place on, with the place behind the last one."""

    def __init__(self, log: RelayLog, *, start: int) -> None:
        stored = io.BufferedReader(PieceReader(log.pieces, size=log.size), PIECE_BYTES)
        self._file: Any = gzip.GzipFile(fileobj=stored) if log.is_packed else stored
        self._start = start
        self.position = 0

    def lines(self) -> Iterator[bytes]:
        """Yield each line without its end; of one that is too long only the beginning, one byte longer than allowed."""
        try:
            self._skip()
            while (line := self._line()) is not None:
                yield line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BrokenLog(
                f"The packed file is damaged or cut off behind {self.position:,} bytes of text."
            ) from error

    def _skip(self) -> None:
        while self.position < self._start:
            skipped = self._file.read(min(PIECE_BYTES, self._start - self.position))
            if not skipped:
                return
            self.position += len(skipped)

    def _line(self) -> bytes | None:
        line: bytes = self._file.readline(MAX_LINE + 1)
        if not line:
            return None
        part = line
        self.position += len(part)
        while not part.endswith(b"\n") and (part := self._file.readline(PIECE_BYTES)):
            self.position += len(part)
            self._refuse_what_is_too_long()
        self._refuse_what_is_too_long()
        return line.rstrip(b"\r\n")

    def _refuse_what_is_too_long(self) -> None:
        if self.position > MAX_TEXT_BYTES:
            raise BrokenLog(
                f"The log is longer than {MAX_TEXT_BYTES // 1024**3} GB unpacked. Cut it to the hours in question."
            )


def forget_old() -> int:
    """Delete logs, with what they said, after a week; who uploaded what stays in the audit trail."""
    settling = Settlement.objects.filter(relay_log=OuterRef("pk"), state=Settlement.State.RUNNING)
    old = RelayLog.objects.filter(~Exists(settling), created_at__lt=Now() - FORGOTTEN_AFTER)
    deleted, _ = old.delete()
    return deleted
