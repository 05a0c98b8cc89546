"""A file kept as rows of pieces: web and worker processes need no folder in common, and a backup holds it."""

import io
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Protocol

from django.db.models import Manager

from mailops.lib.csv_reading import Record, read_records

PIECE_BYTES = 256 * 1024
CHUNK_BYTES = 8 * 1024 * 1024  # of a file, where its rows are long


class Upload(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def seek(self, position: int, /) -> int: ...


class NamedUpload(Upload, Protocol):
    @property
    def name(self) -> str | None: ...
    @property
    def size(self) -> int | None: ...


def pieces_of(file: Upload) -> Iterator[bytes]:
    """Yield `file` in pieces of PIECE_BYTES, the last one shorter (Django's own chunks() may yield it whole)."""
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        yield piece


def digest_of(file: Upload) -> str:
    """Return what tells the content of `file` from that of any other."""
    digest = sha256()
    for piece in pieces_of(file):
        digest.update(piece)
    return digest.hexdigest()


class PieceReader(io.RawIOBase):
    """A file of `size` bytes, kept as `pieces`, as a byte stream from `offset` on; holds one piece at a time."""

    def __init__(
        self, pieces: Manager[Any], *, size: int, encoding: str = "", offset: int = 0
    ) -> None:
        self._pieces = pieces
        self._offset = offset
        # half a character at the end of a UTF-16 file is no character
        self._end = size - (size - offset) % 2 if encoding.startswith("utf-16") else size
        self._position = -1
        self._piece = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        position, start = divmod(self._offset, PIECE_BYTES)
        if position != self._position:
            self._position, self._piece = position, self._load(position)
        wanted = min(len(buffer), self._end - self._offset)
        data = self._piece[start : start + max(wanted, 0)]
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)

    def _load(self, position: int) -> bytes:
        return bytes(
            self._pieces.filter(position=position).values_list("data", flat=True).first() or b""
        )


def records_of(run: Any, *, offset: int, line: int) -> Iterable[Record]:
    """Yield the rows of the file kept as pieces of `run` from byte `offset` on, which is line `line`."""
    return read_records(
        PieceReader(run.pieces, size=run.size, encoding=run.encoding, offset=offset),
        encoding=run.encoding,
        delimiter=run.delimiter,
        offset=offset,
        line=line,
    )


def next_records(run: Any, rows: int) -> tuple[list[Record], bool]:
    """Return the next records behind the cursor of `run`, few enough to be held in memory, and whether the file ends with them."""
    records: list[Record] = []
    for record in records_of(run, offset=run.cursor, line=run.line):
        records.append(record)
        if len(records) == rows or record.end - run.cursor > CHUNK_BYTES:
            return records, False
    return records, True


def move_behind(run: Any, records: Sequence[Record], *, is_end: bool) -> None:
    """Put the cursor of `run` behind `records`, or behind all where the file ends with them; saves nothing."""
    if records:
        run.cursor, run.line = records[-1].end, records[-1].next_line
    if is_end:
        run.cursor = run.size
