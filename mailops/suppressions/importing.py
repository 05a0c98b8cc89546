"""Imports a file of addresses: kept in pieces, and read in chunks, of which each accounts for all of its rows."""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.lib.chunks import MAX_FAILURES, count_failure, delete_some, stop_one, take
from mailops.lib.csv_reading import beginning, guess
from mailops.lib.pieces import Upload, digest_of, move_behind, next_records, pieces_of
from mailops.suppressions.models import ImportedRow, Suppression, SuppressionImport
from mailops.suppressions.reading import columns_of, says_something, streams_named_by, understood
from mailops.suppressions.suppressing import STRENGTHENED
from mailops.transports.models import Stream

CHUNK = 2000  # rows in one transaction, well under a second
LOOKS = 4  # at what is on the list, for one chunk
FORGOTTEN = 20_000  # rows that one statement deletes


@transaction.atomic
def start_import(
    *, file: Upload, file_name: str, stream: Stream | None, reason: str, actor: User
) -> SuppressionImport:
    """Take in `file`, to be worked off by `import_chunk`; raises NotReadable."""
    guessed = guess(pieces_of(file))
    head = next(pieces_of(file))
    start = beginning(head, guessed.encoding)
    run = SuppressionImport.objects.create(
        file_name=file_name[:254],
        stream=stream,
        reason=reason,
        encoding=guessed.encoding,
        delimiter=guessed.delimiter,
        digest=digest_of(file),
        columns=columns_of(head, guessed),
        cursor=start.offset,
        line=start.line,
        created_by=actor,
    )
    for position, data in enumerate(pieces_of(file)):
        run.pieces.create(position=position, data=data)
        run.size += len(data)
    run.save()
    audit(
        actor=actor,
        verb="suppression.import",
        subject=run,
        after={"file": run.file_name, "stream": run.scope, "reason": reason},
    )
    return run


def stop_import(*, run: SuppressionImport, actor: User) -> bool:
    """Stop an import; what was worked off so far stays. Return False where it was over already."""

    def stop(locked: SuppressionImport) -> None:
        rows = sum(locked.numbers.values())
        audit(actor=actor, verb="suppression.stop_import", subject=locked, after={"rows": rows})
        done = f"{rows:,} row{'' if rows == 1 else 's'}"
        _finish(locked, locked.State.STOPPED, f"{actor} stopped it after {done}.")
        locked.save()

    return stop_one(SuppressionImport.objects.all(), run.pk, stop)


def import_chunk(*, run_id: int) -> bool:
    """Work off the next rows of an import and tell whether it has more; safe to run doubled."""
    for _ in range(LOOKS - 1):
        # where something else makes an entry in the same moment, the next look sees it
        with suppress(IntegrityError):
            return _import_chunk(run_id)
    return _import_chunk(run_id)


@transaction.atomic
def _import_chunk(run_id: int) -> bool:
    run = take(SuppressionImport.objects.all(), run_id)
    if run is None:
        return False
    records, is_end = next_records(run, CHUNK)
    streams = streams_named_by(run)
    read = [understood(run, one, streams) for one in records if says_something(run, one)]
    rows = [row for row, _ in read]
    _mark_duplicates(run, rows)
    _settle([(row, entry) for row, entry in read if entry is not None])
    ImportedRow.objects.bulk_create(rows)
    run.numbers = Counter(run.numbers) + Counter(row.outcome for row in rows)
    run.failures = 0
    move_behind(run, records, is_end=is_end)
    if is_end:
        _finish(run, run.State.COMPLETED, "")
    run.save()
    return not is_end


def _finish(run: SuppressionImport, state: SuppressionImport.State, sentence: str) -> None:
    run.finish(state, sentence)
    run.pieces.all().delete()


def note_failure(run_id: int, error: Exception) -> None:
    """Count a chunk that could not be worked off; after a few in a row the import fails and says why."""
    count_failure(SuppressionImport.objects.all(), run_id, error, give_up=_give_up)


def _give_up(run: SuppressionImport) -> None:
    sentence = f"The rows from line {run.line:,} on could not be worked off, in {MAX_FAILURES} tries. The rows before them are done."
    _finish(run, run.State.FAILED, sentence)
    run.save()


def _mark_duplicates(run: SuppressionImport, rows: list[ImportedRow]) -> None:
    keys = [row.address_key for row in rows if not row.outcome]
    earlier = run.rows.filter(address_key__in=keys).exclude(outcome__in=ImportedRow.PASSED_OVER)
    met = {row.place for row in earlier.only("address_key", "stream_id")}
    for row in rows:
        if row.outcome:
            continue
        if row.place in met:
            row.outcome = ImportedRow.Outcome.DUPLICATE
            same = " for the same stream" if run.has_streams else ""
            row.why = f"An earlier row of the file has this address{same}; the stronger one counts."
        met.add(row.place)


def _settle(read: list[tuple[ImportedRow, Suppression]]) -> None:
    """Make or strengthen the entry of each address and stream; of several rows about one, the strongest word counts.

    Entries are made, then locked, in one order, as `suppress_all` does, so that two who do it never block each other.
    """
    given: dict[tuple[str, int], Suppression] = {}
    for _, told in read:
        given.setdefault(told.place, told).strengthen(told)
    fresh = {row.place for row, _ in read if not row.outcome}
    theirs = Suppression.objects.filter(address_key__in={key for key, _ in given})
    new = fresh - {entry.place for entry in theirs.only("address_key", "stream_id")}
    _make(new, given)
    known = {
        entry.place: entry
        for entry in theirs.order_by("address_key", "stream_id").select_for_update()
        if entry.place in given.keys() - new
    }
    gone = fresh - new - known.keys()  # somebody took them off the list in this moment
    _make(gone, given)
    became = {place: _strengthen(entry, given[place]) for place, entry in known.items()}
    changed = [known[place] for place in became if became[place] != ImportedRow.Outcome.UNCHANGED]
    Suppression.objects.bulk_update(changed, STRENGTHENED)
    for row, _ in read:
        if row.outcome:
            continue
        row.outcome = became.get(row.place, ImportedRow.Outcome.ADDED)
        if row.outcome == ImportedRow.Outcome.UNCHANGED:
            reason = known[row.place].get_reason_display().lower()
            row.why = f"On the list already: {reason}."


def _strengthen(entry: Suppression, told: Suppression) -> ImportedRow.Outcome:
    was_over = entry.has_expired  # and counted as none
    if not entry.strengthen(told):
        return ImportedRow.Outcome.UNCHANGED
    return ImportedRow.Outcome.ADDED if was_over else ImportedRow.Outcome.STRENGTHENED


def _make(places: Iterable[tuple[str, int]], given: Mapping[tuple[str, int], Suppression]) -> None:
    Suppression.objects.bulk_create([given[place] for place in sorted(places)])


def forget_old_accounts() -> bool:
    """Delete the next rows of imports that ended long ago; return whether there may be more. The import itself stays."""
    old = SuppressionImport.objects.filter(
        finished_at__lt=Now() - timedelta(days=settings.MAILOPS_SUPPRESSION_IMPORT_DAYS)
    )
    return delete_some(ImportedRow.objects.filter(run__in=old), most=FORGOTTEN) == FORGOTTEN
