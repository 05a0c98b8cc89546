"""Imports a file of addresses: rows first, so that each is accounted for, then their entries in chunks."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress as ignoring
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Count
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.lib.csv_export import unescape
from mailops.lib.csv_reading import NotReadable, read_file
from mailops.lib.storable import storable
from mailops.protocol.address import InvalidAddress, address_key, trimmed
from mailops.suppressions.models import ImportedRow, Suppression, SuppressionImport
from mailops.suppressions.suppressing import STRENGTHENED
from mailops.transports.models import Stream

CHUNK = 2000  # rows in one transaction, well under a second
FORGOTTEN = 20_000  # rows that one statement deletes
ADDRESS_COLUMNS = frozenset({"address", "email", "e-mail", "email address", "recipient", "mail"})
NOTE_COLUMNS = frozenset({"note", "comment", "evidence"})
_COPY = (
    "COPY suppressions_importedrow (run_id, line, address, address_key, note, outcome, why) "
    "FROM STDIN"
)
_DUPLICATES = """
UPDATE suppressions_importedrow r
   SET outcome = 'duplicate', why = 'An earlier row of the file has this address.'
  FROM (SELECT id, row_number() OVER (PARTITION BY address_key ORDER BY id) AS place
          FROM suppressions_importedrow WHERE run_id = %(run)s AND outcome = '') numbered
 WHERE r.id = numbered.id AND numbered.place > 1
"""


@transaction.atomic
def start_import(
    *, file: BinaryIO, file_name: str, stream: Stream | None, reason: str, actor: User
) -> SuppressionImport:
    """Take in the rows of `file`, to be worked off by `import_chunk`; raises NotReadable."""
    run = SuppressionImport.objects.create(
        file_name=file_name[:254], stream=stream, reason=reason, created_by=actor
    )
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for row in read_rows(file):
            copy.write_row((run.pk, *_staged(row)))
    _mark_duplicates(run)
    run.numbers = dict(run.rows.values_list("outcome").annotate(Count("id")))
    run.save(update_fields=["numbers"])
    audit(
        actor=actor,
        verb="suppression.import",
        subject=run,
        after={"file": run.file_name, "stream": run.scope, "reason": reason},
    )
    return run


@dataclass(frozen=True, slots=True)
class Row:
    line: int  # where it begins, counted from 1
    address: str
    note: str = ""
    problem: str = ""


def read_rows(file: BinaryIO) -> Iterator[Row]:
    """Yield every row that is not empty, the unreadable ones with their `problem`; raise NotReadable."""
    columns = None
    for record in read_file(file):
        if record.problem:
            yield Row(record.line, "", problem=record.problem)
        elif any(cell.strip() for cell in record.cells):
            is_first, columns = columns is None, columns or _columns(record.cells)
            address_at, note_at, has_header = columns
            if not (is_first and has_header):
                address, note = _cell(record.cells, address_at), _cell(record.cells, note_at)
                yield Row(record.line, address, note)


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
    return unescape(cells[at].strip()) if 0 <= at < len(cells) else ""


def _staged(row: Row) -> Iterator[str | int]:
    address = storable(trimmed(row.address), 320)
    key, why = "", row.problem
    if not why:
        try:
            key = address_key(address, allow_utf8=True)
        except InvalidAddress as error:
            why = error.sentence
    outcome = ImportedRow.Outcome.REJECTED if why else ImportedRow.Outcome.WAITING
    yield from (row.line, address, key, storable(row.note, 500), outcome.value, why[:254])


def _mark_duplicates(run: SuppressionImport) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_DUPLICATES, {"run": run.pk})


def import_chunk(*, run_id: int) -> bool:
    """Work off the next rows of an import and tell whether it has more; safe to run doubled.

    An entry that something else made in the same moment undoes the chunk, which the next call repeats.
    """
    with ignoring(IntegrityError):
        return _import_chunk(run_id)
    return True


@transaction.atomic
def _import_chunk(run_id: int) -> bool:
    running = SuppressionImport.objects.filter(state=SuppressionImport.State.RUNNING)
    run = running.select_for_update(skip_locked=True).filter(pk=run_id).first()
    if run is None:
        return False
    waiting = run.rows.filter(outcome=ImportedRow.Outcome.WAITING, id__gt=run.cursor)
    rows = list(waiting.order_by("id")[:CHUNK])
    if not rows:
        SuppressionImport.objects.filter(pk=run.pk).update(
            state=SuppressionImport.State.COMPLETED, finished_at=Now()
        )
        return False
    _settle(run, rows)
    _note_outcomes(rows)
    settled = Counter(row.outcome for row in rows)
    numbers = Counter(run.numbers) + settled - Counter({ImportedRow.Outcome.WAITING: len(rows)})
    SuppressionImport.objects.filter(pk=run.pk).update(cursor=rows[-1].pk, numbers=numbers)
    return True


def _note_outcomes(rows: list[ImportedRow]) -> None:
    """Write the rows' outcomes, in one update for each that occurs: far quicker than one for each row."""
    alike: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        alike[row.outcome, row.why].append(row.pk)
    for (outcome, why), ids in alike.items():
        ImportedRow.objects.filter(pk__in=ids).update(outcome=outcome, why=why)


def _settle(run: SuppressionImport, rows: list[ImportedRow]) -> None:
    known = {
        entry.address_key: entry
        for entry in Suppression.objects.select_for_update().filter(
            stream=run.stream, address_key__in=[row.address_key for row in rows]
        )
    }
    new, changed = [], []
    for row in rows:
        entry, given = known.get(row.address_key), _entry(run, row)
        if entry is None:
            new.append(given)
            row.outcome = ImportedRow.Outcome.ADDED
        elif entry.strengthen(given):
            changed.append(entry)
            row.outcome = ImportedRow.Outcome.STRENGTHENED
        else:
            row.outcome = ImportedRow.Outcome.UNCHANGED
            row.why = f"On the list already: {entry.get_reason_display().lower()}."
    Suppression.objects.bulk_create(new)
    Suppression.objects.bulk_update(changed, STRENGTHENED)


def _entry(run: SuppressionImport, row: ImportedRow) -> Suppression:
    return Suppression(
        address=row.address,
        address_key=row.address_key,
        stream=run.stream,
        reason=run.reason,
        evidence_text=row.note or f"Line {row.line} of {run.file_name}",
        created_by=run.created_by.email if run.created_by else "mailops",
    )


def forget_old_accounts() -> bool:
    """Delete the next rows of imports that ended long ago; return whether there may be more. The import itself stays."""
    old = SuppressionImport.objects.filter(
        finished_at__lt=Now() - timedelta(days=settings.MAILOPS_SUPPRESSION_IMPORT_DAYS)
    )
    ids = list(ImportedRow.objects.filter(run__in=old).values_list("pk", flat=True)[:FORGOTTEN])
    ImportedRow.objects.filter(pk__in=ids).delete()
    return len(ids) == FORGOTTEN
