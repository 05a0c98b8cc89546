"""Understands an uploaded list of addresses: which of its columns are meant, and what a row of it says."""

import re
from collections import Counter

from mailops.lib.csv_export import unescape
from mailops.lib.csv_reading import SAMPLE_BYTES, Guess, NotReadable, Record, sample
from mailops.lib.storable import storable
from mailops.protocol.address import InvalidAddress, address_key, trimmed
from mailops.suppressions.models import ImportedRow, SuppressionImport

# names of columns, of which only the letters count
ADDRESS_COLUMNS = frozenset(
    {"address", "email", "emailaddress", "mail", "mailaddress", "recipient", "recipientemail"}
)
NOTE_COLUMNS = frozenset({"note", "comment", "evidence"})


def columns_of(head: bytes, read_as: Guess) -> dict[str, int]:
    """Tell by the first rows that say anything which cells are meant, and whether the first is a header; raise NotReadable."""
    rows = sample(head, encoding=read_as.encoding, delimiter=read_as.delimiter, count=SAMPLE_BYTES)
    rows = [row for row in rows if not (row.problem or _is_empty(row))]
    if not rows:
        raise NotReadable(
            "The first 256 KB of the file are blank, so mailops can't tell which column holds addresses. "
            "Delete the blank rows and upload it again."
        )
    names = [re.sub(r"[^a-z]", "", cell.lower()) for cell in rows[0].cells]
    address_at = _place_of(ADDRESS_COLUMNS, names)
    is_header = address_at >= 0 or not any("@" in cell for cell in rows[0].cells)
    if address_at < 0:
        address_at = _fullest_of_addresses(rows)
    if not is_header:
        return {"address": address_at, "note": -1, "header": 0}
    note_at = _place_of(NOTE_COLUMNS, names)
    return {"address": address_at, "note": note_at, "header": rows[0].line}


def _place_of(wanted: frozenset[str], names: list[str]) -> int:
    return next((at for at, name in enumerate(names) if name in wanted), -1)


def _fullest_of_addresses(rows: list[Record]) -> int:
    found = Counter(at for row in rows for at, cell in enumerate(row.cells) if "@" in cell)
    if not found:
        raise NotReadable(
            "No column holds addresses. Name one of them “address” in the first row of the file."
        )
    return min(found, key=lambda at: (-found[at], at))


def _is_empty(record: Record) -> bool:
    return not any(cell.strip() for cell in record.cells)


def says_something(run: SuppressionImport, record: Record) -> bool:
    return bool(record.problem) or not (_is_empty(record) or record.line == run.columns["header"])


def understood(run: SuppressionImport, record: Record) -> ImportedRow:
    """Return the row of a record: refused, or with its outcome still open."""
    row = ImportedRow(run=run, line=record.line, why=record.problem[:254])
    if not record.problem:
        row.address = storable(trimmed(_cell(record.cells, run.columns["address"])), 320)
        row.note = storable(_cell(record.cells, run.columns["note"]), 500)
        try:
            row.address_key = address_key(row.address, allow_utf8=True)
        except InvalidAddress as error:
            row.why = error.sentence[:254]
    if row.why:
        row.outcome = ImportedRow.Outcome.REJECTED
    return row


def _cell(cells: list[str], at: int) -> str:
    return unescape(cells[at].strip()) if 0 <= at < len(cells) else ""
