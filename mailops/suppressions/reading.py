"""Reads the addresses of an uploaded CSV file, row by row, with a bounded memory whatever the file is."""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_LINE = 65_536  # characters; a longer line is no row of addresses
ADDRESS_COLUMNS = frozenset({"address", "email", "e-mail", "email address", "recipient", "mail"})
NOTE_COLUMNS = frozenset({"note", "comment", "evidence"})
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_FORMULA_STARTS = ("'=", "'+", "'-", "'@")


class NotReadable(ValueError):
    """The file holds no addresses; the text is a sentence for the person who uploaded it."""


@dataclass(frozen=True, slots=True)
class Row:
    line: int  # where it ends, counted from 1
    address: str
    note: str = ""
    problem: str = ""


def read_rows(file: BinaryIO) -> Iterator[Row]:
    """Yield every row that is not empty, the unreadable ones with their `problem`; raise NotReadable."""
    text = io.TextIOWrapper(file, encoding=_encoding_of(file), errors="replace", newline="")
    try:
        yield from _rows(text)
    finally:
        text.detach()


def _rows(text: io.TextIOWrapper) -> Iterator[Row]:
    first = text.readline(MAX_LINE)
    if not first.strip():
        raise NotReadable("The file is empty.")
    text.seek(0)
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=_delimiter_of(first))
    address_at, note_at = -1, -1
    while (cells := _next_cells(reader, lines)) is not None:
        if isinstance(cells, str):
            yield Row(lines.number, "", problem=cells)
        elif address_at < 0:
            address_at, note_at, is_header = _columns(cells)
            if not is_header:
                yield Row(lines.number, _cell(cells, address_at))
        elif any(cell.strip() for cell in cells):
            yield Row(lines.number, _cell(cells, address_at), _cell(cells, note_at))


class _Lines:
    """Hands out lines no longer than MAX_LINE and drops the rest of one that is, saying so in `dropped`."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.number = 0
        self.dropped = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) < MAX_LINE or line.endswith(("\n", "\r")):
            return line
        while (more := self._text.readline(MAX_LINE)) and not more.endswith("\n"):
            pass
        self.dropped = True
        return "\n"


def _next_cells(reader: Iterator[list[str]], lines: _Lines) -> list[str] | str | None:
    """Return the cells of the next row, a sentence where it can't be read, or None at the end."""
    began = lines.number + 1
    try:
        cells = next(reader, None)
    except csv.Error:
        return (
            f"A quote on line {began} is not closed; lines {began} to {lines.number} were not read."
        )
    if lines.dropped:
        lines.dropped = False
        return f"The line is longer than {MAX_LINE:,} characters."
    return cells


def _encoding_of(file: BinaryIO) -> str:
    head = file.read(4096)
    file.seek(0)
    for bom, encoding in _BOMS.items():
        if head.startswith(bom):
            return encoding
    if b"\0" in head or head.startswith(b"PK\x03\x04"):
        raise NotReadable("This is not a CSV file. Save the table as CSV and upload that.")
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := file.read(1 << 20):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    finally:
        file.seek(0)
    return "utf-8"


def _delimiter_of(first: str) -> str:
    return max(",;\t", key=first.count)


def _columns(cells: list[str]) -> tuple[int, int, bool]:
    """Tell which cell is the address, which the note, and whether `cells` is the header that says so."""
    names = [cell.strip().lower() for cell in cells]
    address_at = next((at for at, name in enumerate(names) if name in ADDRESS_COLUMNS), -1)
    note_at = next((at for at, name in enumerate(names) if name in NOTE_COLUMNS), -1)
    if address_at >= 0:
        return address_at, note_at, True
    guessed = next((at for at, name in enumerate(names) if "@" in name), -1)
    if guessed < 0:
        raise NotReadable(
            "No column holds addresses. Name one of them “address” in the first row of the file."
        )
    return guessed, -1, False


def _cell(cells: list[str], at: int) -> str:
    if not 0 <= at < len(cells):
        return ""
    cell = cells[at].strip()
    # our own export puts an apostrophe before what a spreadsheet would run as a formula
    return cell[1:] if cell.startswith(_FORMULA_STARTS) else cell
