"""Reads a CSV file that a stranger may have made, row by row: which encoding, which delimiter, where each row begins and ends.

Nothing here holds more than one row, so a line of 100 MB costs no more memory than any other.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

MAX_RECORD = 100_000  # characters of one row; csv itself refuses a field over 131,072
SAMPLE_BYTES = 256 * 1024
MAX_STRANGE = 0.05  # of the characters of a text: half ones, unassigned ones and controls
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16, little-endian",
    "utf-16-be": "UTF-16, big-endian",
    "cp1252": "Windows-1252 (Western Europe)",
    "cp1250": "Windows-1250 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "iso8859-15": "ISO 8859-15 (Western Europe)",
}
BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# the line by which a file tells Excel its delimiter
_SEP_LINE = re.compile(r'"?sep=([,;|\t])"?[,;|\t]*(?:\r\n|\r|\n)', re.IGNORECASE)
# bytes that can't be decoded become characters that can be counted back, so that offsets stay exact
ERRORS = {"utf-8": "surrogateescape", "utf-16-le": "surrogatepass", "utf-16-be": "surrogatepass"}
NOT_CSV = {
    b"PK\x03\x04": "This is an Excel or zip file. Save it as CSV (UTF-8) and upload that.",
    b"\xd0\xcf\x11\xe0": "This is an old Excel file. Save it as CSV (UTF-8) and upload that.",
    b"\x1f\x8b": "This file is compressed. Unpack it and upload the CSV file inside.",
    b"%PDF": "This is a PDF file, not a CSV file.",
}


class NotReadable(ValueError):
    """The file is no CSV file; the text is a sentence for the person who uploaded it."""


@dataclass(frozen=True, slots=True)
class Record:
    line: int  # where it begins; a quoted line break makes a row longer than a line
    cells: list[str]
    end: int  # the byte behind it
    next_line: int
    problem: str = ""  # why it can't be used


@dataclass(frozen=True, kw_only=True)
class Guess:
    """What a file seems to be."""

    encoding: str
    is_encoding_certain: bool
    delimiter: str
    has_header: bool


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where the rows of a file begin: behind a byte order mark, and behind a line that tells a spreadsheet its delimiter."""

    offset: int
    line: int = 1
    delimiter: str = ""  # that which such a line tells


class _TooLong(Exception):
    pass


class _Lines:
    """The physical lines of a text, counted, and given back when a row turns out to be broken."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._given_back: deque[str] = deque()
        self._ahead = ""  # the character that was read behind a carriage return
        self.taken: list[str] = []
        self._length = 0

    def begin(self) -> None:
        self.taken, self._length = [], 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._given_back.popleft() if self._given_back else self._read(MAX_RECORD + 1)
        if not line:
            raise StopIteration
        self.taken.append(line)
        self._length += len(line)
        if self._length - _length_of_end(line) > MAX_RECORD:
            raise _TooLong
        return line

    def give_back_all_but_first(self) -> None:
        self._given_back.extendleft(reversed(self.taken[1:]))
        self.taken = self.taken[:1]

    def rest_of_line(self) -> Iterator[str]:
        """Yield what is left of a physical line that was cut at the limit."""
        part = self.taken[-1]
        while part and not part.endswith(("\n", "\r")):
            part = self._read(MAX_RECORD)
            yield part

    def _read(self, most: int) -> str:
        """Return the next line, or `most` characters of it and, where those cut its CR LF in two, the LF as well."""
        part, self._ahead = self._ahead, ""
        if part != "\r":
            part += self._text.readline(most - len(part))
        if part.endswith("\r"):
            self._ahead = self._text.readline(1)
            if self._ahead == "\n":
                part, self._ahead = part + "\n", ""
        return part


def _length_of_end(line: str) -> int:
    return len(line) - len(line.rstrip("\r\n"))


def read_records(
    raw: io.RawIOBase | io.BytesIO, *, encoding: str, delimiter: str, offset: int, line: int = 1
) -> Iterator[Record]:
    """Yield the rows of `raw`, which stands at byte `offset` and line `line`.

    A row that is broken or too long is yielded with its problem, and reading goes on at the next line, so that
    one forgotten quote spoils one row and not the rest of the file. A blank line has no cells.
    """
    errors = ERRORS.get(encoding, "replace")
    text = io.TextIOWrapper(
        io.BufferedReader(cast("io.RawIOBase", raw), 64 * 1024),
        encoding=encoding,
        errors=errors,
        newline="",
    )
    width = _width_in(encoding, errors)
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.begin()
        problem = ""
        cells: list[str] = []
        skipped = 0
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (_TooLong, csv.Error) as error:
            problem = _problem_of(error, lines)
            lines.give_back_all_but_first()
            cells = [lines.taken[0][:200].rstrip("\r\n")]
            if not lines.taken[0].endswith(("\n", "\r")):
                skipped = sum(width(part) for part in lines.rest_of_line())
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
        offset += sum(map(width, lines.taken)) + skipped
        began, line = line, line + len(lines.taken)
        yield Record(began, cells, offset, line, problem)


def _problem_of(error: Exception, lines: _Lines) -> str:
    if isinstance(error, csv.Error):
        return f"The quotes of this row are wrong ({error})."
    if len(lines.taken) > 1:
        return f"A quote is opened here and not closed within {MAX_RECORD:,} characters."
    return f"The row is longer than {MAX_RECORD:,} characters."


def _width_in(encoding: str, errors: str) -> Callable[[str], int]:
    """Return a function that tells how many bytes of the file a decoded text was."""
    if encoding not in ERRORS:  # one byte a character
        return len
    if encoding == "utf-8":
        return lambda text: len(text) if text.isascii() else len(text.encode("utf-8", errors))
    return lambda text: len(text.encode(encoding, errors))


def beginning(head: bytes, encoding: str) -> Beginning:
    """Tell where the rows of the file begin that begins with `head`."""
    offset = next((len(bom) for bom in BOMS if head.startswith(bom)), 0)
    text = _whole_characters(head[offset : offset + 64], encoding).decode(encoding, "replace")
    told = _SEP_LINE.match(text)
    if told is None:
        return Beginning(offset)
    return Beginning(offset + len(told[0].encode(encoding)), 2, told[1])


def guess(chunks: Iterable[bytes]) -> Guess:
    """Return what the file in `chunks` seems to be, having read all of it; raise NotReadable.

    UTF-8 is believed only if every byte of the file fits: a wrong guess would be noticed by the recipients.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8 = True
    head = b""
    for chunk in chunks:
        if len(head) < SAMPLE_BYTES:
            head += chunk[: SAMPLE_BYTES - len(head)]
        try:
            if is_utf8:
                decoder.decode(chunk)
        except UnicodeDecodeError:
            is_utf8 = False
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        is_utf8 = False
    _refuse_what_is_no_text(head)
    bom = next((bom for bom in BOMS if head.startswith(bom)), b"")
    encoding = BOMS[bom] if bom else "utf-8" if is_utf8 else "cp1252"
    if encoding == "utf-8" and not is_utf8:  # a BOM that lies
        encoding = "cp1252"
    delimiter = beginning(head, encoding).delimiter or _guess_delimiter(head, encoding)
    rows = sample(head, encoding=encoding, delimiter=delimiter)
    if not rows:
        raise NotReadable("The file is empty: there is not one row in it.")
    if rows[0].problem:
        raise NotReadable(
            f"Line {rows[0].line}: {rows[0].problem} This is no CSV file that mailops can read."
        )
    return Guess(
        encoding=encoding,
        is_encoding_certain=bool(bom) or is_utf8,
        delimiter=delimiter,
        has_header=not any("@" in cell for cell in rows[0].cells),
    )


def _refuse_what_is_no_text(head: bytes) -> None:
    for magic, sentence in NOT_CSV.items():
        if head.startswith(magic):
            raise NotReadable(sentence)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        if not _is_utf16(head):
            raise NotReadable(
                "This file begins as UTF-16 does, and what follows is no text. "
                "Save it as CSV (UTF-8) and upload that."
            )
    elif b"\0" in head:
        raise NotReadable(
            "There are NUL bytes in this file, so it is no text, or UTF-16 without a byte order mark. "
            "Save it as CSV (UTF-8) and upload that."
        )


def _is_utf16(head: bytes) -> bool:
    """Tell whether `head` is text in UTF-16: of damaged or packed octets a seventh becomes no letter of any script."""
    text = _whole_characters(head, "utf-16").decode("utf-16", "surrogatepass")
    strange = sum(
        unicodedata.category(c) in {"Cc", "Cn", "Co", "Cs"} for c in text if c not in "\t\r\n"
    )
    return strange <= len(text) * MAX_STRANGE


def sample(head: bytes, *, encoding: str, delimiter: str, count: int = 50) -> list[Record]:
    """Return the first rows that are not blank; the last one is left out if the sample cuts it."""
    start = beginning(head, encoding)
    raw = io.BytesIO(_whole_characters(head[start.offset :], encoding))
    rows: list[Record] = []
    for record in read_records(
        raw, encoding=encoding, delimiter=delimiter, offset=start.offset, line=start.line
    ):
        if len(head) >= SAMPLE_BYTES and record.end >= len(head) - 4 and rows:
            break
        if any(record.cells):
            rows.append(record)
        if len(rows) == count:
            break
    return rows


def _whole_characters(data: bytes, encoding: str) -> bytes:
    return data[: len(data) - len(data) % 2] if encoding.startswith("utf-16") else data


def _guess_delimiter(head: bytes, encoding: str) -> str:
    """Return the delimiter by which most rows of the sample have the same number of cells, more than one."""

    def agreement(delimiter: str) -> tuple[float, int]:
        rows = sample(head, encoding=encoding, delimiter=delimiter)
        widths = Counter(len(row.cells) for row in rows if not row.problem)
        if not widths:
            return (0.0, 0)
        cells, times = widths.most_common(1)[0]
        return (times / len(rows), cells) if cells > 1 else (0.0, 0)

    return max(DELIMITERS, key=agreement)
