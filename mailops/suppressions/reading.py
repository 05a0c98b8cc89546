"""Understands an uploaded list of addresses: which of its columns are meant, and what a row of it says."""

import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta

from django.core.exceptions import ValidationError
from django.utils import timezone

from mailops.lib.csv_export import unescape
from mailops.lib.csv_reading import SAMPLE_BYTES, Guess, NotReadable, Record, sample
from mailops.lib.moments import check_moment
from mailops.lib.storable import storable
from mailops.protocol.address import InvalidAddress, address_key, trimmed
from mailops.suppressions.models import NOTE_LENGTH, ImportedRow, Suppression, SuppressionImport
from mailops.transports.models import Stream

# names of columns, of which only the letters count
ADDRESS_COLUMNS = frozenset(
    {"address", "email", "emailaddress", "mail", "mailaddress", "recipient", "recipientemail"}
)
NOTE_COLUMNS = frozenset({"note", "comment", "evidence"})
# as an export names them
EXPORTED_COLUMNS = ("stream", "reason", "until")
_REASONS = {
    word.casefold(): value for value, label in Suppression.Reason.choices for word in (value, label)
}


class _Refused(ValueError):
    """A row can't be used, or says nothing any more; the text says why."""

    def __init__(self, sentence: str, outcome: str = ImportedRow.Outcome.REJECTED) -> None:
        super().__init__(sentence)
        self.outcome = outcome


def columns_of(head: bytes, read_as: Guess) -> dict[str, int]:
    """Tell by the first rows that say anything which cells are meant, and whether the first is a header; raise NotReadable."""
    rows = sample(head, encoding=read_as.encoding, delimiter=read_as.delimiter, count=SAMPLE_BYTES)
    rows = [row for row in rows if not (row.problem or _is_empty(row))]
    if not rows:
        raise NotReadable(
            f"The first {SAMPLE_BYTES // 1024} KB of the file are blank, so mailops can't tell which column holds addresses. "
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
    others = {name: _place_of(frozenset({name}), names) for name in EXPORTED_COLUMNS}
    return {"address": address_at, "note": note_at, **others, "header": rows[0].line}


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


def streams_named_by(run: SuppressionImport) -> dict[str, Stream]:
    """Return the streams by their names where the rows of `run` may name them."""
    return Stream.objects.in_bulk(field_name="name") if run.has_streams else {}


def understood(
    run: SuppressionImport, record: Record, streams: Mapping[str, Stream]
) -> tuple[ImportedRow, Suppression | None]:
    """Return the row of a record, refused or with its outcome still open, and the entry that it gives."""
    row = ImportedRow(run=run, line=record.line, stream=run.stream)
    try:
        return row, _entry(run, record, row, streams)
    except (_Refused, InvalidAddress) as error:
        row.why = str(error)[:254]
        row.outcome = getattr(error, "outcome", ImportedRow.Outcome.REJECTED)
    return row, None


def _entry(
    run: SuppressionImport, record: Record, row: ImportedRow, streams: Mapping[str, Stream]
) -> Suppression:
    """Return what a record says, noting in `row` what could be read; raise _Refused or InvalidAddress."""
    if record.problem:
        raise _Refused(record.problem)

    def told(name: str) -> str:
        return _cell(record.cells, run.columns.get(name, -1))

    row.address = storable(trimmed(told("address")), 320)
    row.note = storable(told("note"), NOTE_LENGTH)
    row.address_key = address_key(row.address, allow_utf8=True)
    row.stream = _stream(told("stream"), run, streams)
    return Suppression(
        address=row.address,
        address_key=row.address_key,
        stream=row.stream,
        reason=_REASONS.get(told("reason").casefold(), run.reason),
        evidence_text=row.note or f"Line {row.line} of {run.file_name}",
        created_by=run.created_by.email if run.created_by else "mailops",
        expires_at=_end(told("until")),
        brought_by=run,
    )


def _stream(name: str, run: SuppressionImport, streams: Mapping[str, Stream]) -> Stream | None:
    if not name:
        return run.stream
    if name == Suppression.EVERYWHERE:
        return None
    if name not in streams:
        raise _Refused(
            f"There is no stream “{storable(name, 100)}” here. Write the name of one that there is, "
            f"“{Suppression.EVERYWHERE}” or nothing."
        )
    return streams[name]


def _end(text: str) -> datetime | None:
    """Return when it ends: None for no end, for a day the end of that day; without an offset it is UTC."""
    if not text:
        return None
    try:
        end = _moment(text)
        check_moment(end)
    except (ValueError, OverflowError, ValidationError):
        raise _Refused(
            f"“{storable(text, 60)}” is no time. Write 2026-12-31 or 2026-12-31T18:00:00+00:00, or leave it empty for good."
        ) from None
    if end <= timezone.now():
        raise _Refused(
            f"It ended on {end.astimezone(UTC):%d %b %Y, %H:%M} UTC and stops no mail any more.",
            ImportedRow.Outcome.EXPIRED,
        )
    if end > timezone.now() + Suppression.FARTHEST:
        raise _Refused("It ends in more than ten years: leave it empty for good.")
    return end


def _moment(text: str) -> datetime:
    with suppress(ValueError):
        midnight = datetime.combine(date.fromisoformat(text), time(), UTC)
        return midnight + timedelta(days=1)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _cell(cells: list[str], at: int) -> str:
    return unescape(cells[at].strip()) if 0 <= at < len(cells) else ""
