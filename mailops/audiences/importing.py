"""Turns a stored file into members of an audience, in chunks that can be cut off anywhere and doubled by nobody.

A chunk is one transaction: it locks its audience against being deleted and the import's row, reads from the cursor,
copies the rows into a staging table, settles them with a handful of set-based statements, and moves cursor and counts.
Whoever comes second finds the row locked or the cursor moved.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.audiences.models import Import, ImportRemark
from mailops.audiences.settling import StagedRow, settle
from mailops.audiences.uploading import beginning_of
from mailops.lib.chunks import MAX_FAILURES, count_failure, delete_some
from mailops.lib.csv_export import unescape
from mailops.lib.csv_reading import Record
from mailops.lib.pieces import move_behind, next_records, records_of
from mailops.lib.storable import storable
from mailops.lib.time_zones import UnknownZone, zone_name
from mailops.protocol.address import InvalidAddress, address_key, trimmed

CHUNK_ROWS = 5_000  # about half a second of work
FORGOTTEN = 20_000  # rows that one statement deletes
REMARKS_KEPT = timedelta(days=90)  # a quarter, in which somebody may ask after a row


class WrongState(Exception):
    """The import is past the point where this could be done."""


def start_import(
    *, run: Import, header: list[str], mapping: dict[str, Any], consent: str, actor: User
) -> None:
    """Let a mapped import run; raise WrongState where it was started, stopped or finished before."""
    with transaction.atomic():
        locked = Import.objects.select_for_update().get(pk=run.pk)
        if not locked.is_mapping:
            raise WrongState(f"This import is {locked.get_state_display().lower()} already.")
        locked.encoding, locked.delimiter, locked.has_header = (
            run.encoding,
            run.delimiter,
            run.has_header,
        )
        locked.header, locked.mapping, locked.consent = header, mapping, consent
        locked.state, locked.started_at = Import.State.RUNNING, timezone.now()
        locked.cursor, locked.line = _behind_header(locked)
        locked.save()
        audit(
            actor=actor,
            verb="import.start",
            subject=locked,
            after={"audience": locked.audience.name, "mapping": mapping, "consent": consent},
        )


def stop_import(*, run: Import, actor: User) -> None:
    """Stop an import; the rows read so far stay as they are."""
    with transaction.atomic():
        locked = Import.objects.select_for_update().get(pk=run.pk)
        if locked.is_finished:
            raise WrongState(f"This import is {locked.get_state_display().lower()} already.")
        audit(actor=actor, verb="import.stop", subject=locked, after={"rows": locked.rows})
        _finish(locked, Import.State.STOPPED, f"{actor} stopped it after {locked.rows:,} rows.")


def discard_upload(*, run: Import, actor: User) -> None:
    """Throw an upload away that was never started; raise WrongState where it was."""
    with transaction.atomic():
        locked = Import.objects.select_for_update().filter(pk=run.pk).first()
        if locked is None:
            return
        if not locked.is_mapping:
            state = locked.get_state_display().lower()
            raise WrongState(f"“{locked}” was not thrown away: it is {state} already.")
        audit(actor=actor, verb="import.discard", subject=locked, before={"file": locked.file_name})
        locked.delete()


def import_chunk(*, run_id: int, rows: int = CHUNK_ROWS) -> bool:
    """Import the next rows; return whether more may be waiting (False also where another process is at it)."""
    with transaction.atomic():
        _keep_audience(run_id)
        run = (
            Import.objects.running()
            .select_for_update(skip_locked=True, of=("self",))
            .filter(pk=run_id)
            .first()
        )
        if run is None:
            return False
        records, is_end = next_records(run, rows)
        settle(run, list(_understand(run, records)))
        run.blank += sum(not any(record.cells) for record in records)
        run.failures = 0
        move_behind(run, records, is_end=is_end)
        if is_end:
            _finish(run, Import.State.COMPLETED, "")
        run.save()
        return run.is_running


def _keep_audience(run_id: int) -> None:
    """Keep the audience from being deleted until the transaction ends; whoever deletes it comes to the import behind it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM audiences_audience WHERE id = (SELECT audience_id FROM audiences_import WHERE id = %s) "
            "FOR KEY SHARE",
            [run_id],
        )


def note_failure(run_id: int, error: Exception) -> None:
    """Count a chunk that could not be imported; after a few in a row the import fails and says why."""
    count_failure(Import.objects.all(), run_id, error, give_up=_give_up)


def forget_old_remarks() -> bool:
    """Delete the next rows that old imports did not take; return whether there may be more. The account of each stays.

    They are kept as they stand in the file, with columns that nobody wanted imported.
    """
    old = Import.objects.filter(finished_at__lt=Now() - REMARKS_KEPT)
    return delete_some(ImportRemark.objects.filter(run__in=old), most=FORGOTTEN) == FORGOTTEN


def _give_up(run: Import) -> None:
    _finish(
        run,
        Import.State.FAILED,
        f"The rows from line {run.line:,} on could not be imported, in {MAX_FAILURES} tries. "
        f"The {run.rows:,} rows before them are in.",
    )


def _behind_header(run: Import) -> tuple[int, int]:
    start = beginning_of(run)
    if not run.has_header:
        return start.offset, start.line
    for record in records_of(run, offset=start.offset, line=start.line):
        if any(record.cells):
            return record.end, record.next_line
    return run.size, 1


def _finish(run: Import, state: Import.State, sentence: str) -> None:
    run.state, run.sentence, run.finished_at = state, sentence, timezone.now()
    run.save()


def _understand(run: Import, records: list[Record]) -> Iterator[StagedRow]:
    """Yield what each row says by the mapping; blank lines say nothing."""
    at: int = run.mapping["address"]
    attributes: dict[str, int] = run.mapping["attributes"]
    for record in records:
        if not any(record.cells):
            continue
        cells = [unescape(cell) for cell in record.cells]
        refusal = record.problem or _refusal(cells, len(run.header))
        if refusal:
            yield StagedRow(record.line, [storable(cell) for cell in cells], refusal=refusal)
            continue
        address, zone = trimmed(_cell(cells, at)), _cell(cells, run.mapping.get("time_zone"))
        try:
            key = address_key(address) if address else ""
            zone = zone_name(zone) if zone else ""
        except (InvalidAddress, UnknownZone) as error:
            yield StagedRow(record.line, cells, refusal=str(error))
            continue
        if not key:
            yield StagedRow(record.line, cells, refusal="There is no address in this row.")
            continue
        values = {
            name: value
            for name, index in attributes.items()
            if index < len(cells) and (value := cells[index].strip())
        }
        yield StagedRow(record.line, cells, address, key, values, zone)


def _cell(cells: list[str], index: int | None) -> str:
    return cells[index].strip() if index is not None and index < len(cells) else ""


def _refusal(cells: list[str], width: int) -> str:
    """Say why a row can't be used before its address is looked at."""
    if len(cells) > width and any(cell.strip() for cell in cells[width:]):
        return f"The row has {len(cells)} cells, the header {width}: its values may stand in the wrong columns."
    for cell in cells:
        if "\0" in cell:
            return "There is a NUL character in this row."
        if not cell.isascii() and any("\ud800" <= char <= "\udfff" for char in cell):
            return "There are bytes in this row that are no text in the chosen encoding."
    return ""
