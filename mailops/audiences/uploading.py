"""Takes an uploaded file in, piece by piece, and shows how it begins; the pieces go with the import they belong to."""

import io
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.audiences.models import Audience, Import, ImportPiece
from mailops.lib.csv_export import unescape
from mailops.lib.csv_reading import (
    DELIMITERS,
    ENCODINGS,
    SAMPLE_BYTES,
    Beginning,
    NotReadable,
    Record,
    beginning,
    guess,
    sample,
)
from mailops.lib.locks import keep_rows
from mailops.lib.pieces import NamedUpload, PieceReader, digest_of, pieces_of
from mailops.lib.storable import storable

SAMPLE_ROWS = 8
MAX_COLUMNS = 490  # their mapping posts two fields for each; Django takes 1000 in all
FORGOTTEN_AFTER = timedelta(days=7)  # an upload nobody went on with holds people's data for nothing


def take_upload(*, audience: Audience, file: NamedUpload, actor: User) -> Import:
    """Store `file` for an import into `audience` and guess how to read it; raise NotReadable if it is no CSV or too wide."""
    guessed = guess(pieces_of(file))
    run = Import(
        audience=audience,
        file_name=(file.name or "upload.csv")[:254],
        size=file.size or 0,
        digest=digest_of(file),
        encoding=guessed.encoding,
        is_encoding_certain=guessed.is_encoding_certain,
        delimiter=guessed.delimiter,
        has_header=guessed.has_header,
        created_by=actor,
    )
    header, _ = _look(next(pieces_of(file)), run)
    if refusal := refusal_of(header, run):
        raise NotReadable(refusal)
    with transaction.atomic():
        keep_rows(audience)
        run.save()
        for position, data in enumerate(pieces_of(file)):
            ImportPiece.objects.create(run=run, position=position, data=data)
        audit(
            actor=actor,
            verb="import.upload",
            subject=run,
            after={"audience": audience.name, "file": run.file_name, "bytes": run.size},
        )
    return run


def drop_forgotten() -> int:
    """Delete uploads whose columns nobody chose for a week; return how many."""
    forgotten = Import.objects.filter(
        state=Import.State.MAPPING, created_at__lt=Now() - FORGOTTEN_AFTER
    )
    with transaction.atomic():
        runs = list(forgotten.select_for_update(skip_locked=True))
        for run in runs:
            audit(actor=None, verb="import.forget", subject=run, before={"file": run.file_name})
            run.delete()
    return len(runs)


def first_bytes(run: Import) -> bytes:
    """Return the beginning of a stored file, enough to show samples of it."""
    reader = PieceReader(run.pieces, size=run.size, encoding=run.encoding)
    return io.BufferedReader(reader).read(SAMPLE_BYTES)


def beginning_of(run: Import) -> Beginning:
    return beginning(first_bytes(run), run.encoding)


def look(run: Import) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns (made up where there is no header) and some rows, read as `run` says."""
    return _look(first_bytes(run), run)


def misfit_of(run: Import) -> str:
    """Say that the first rows are no text in the encoding of `run`; "" where they are."""
    cells = [cell for row in _sample(first_bytes(run), run) for cell in row.cells]
    if all("\ufffd" not in cell and storable(cell) == cell for cell in cells):
        return ""
    return (
        f"The file doesn't look like {ENCODINGS[run.encoding]}: some of its first rows are no text in it, and such rows "
        "can't be imported. Choose another encoding."
    )


def _sample(head: bytes, run: Import) -> list[Record]:
    return sample(head, encoding=run.encoding, delimiter=run.delimiter, count=SAMPLE_ROWS + 1)


def _look(head: bytes, run: Import) -> tuple[list[str], list[list[str]]]:
    rows = [row.cells for row in _sample(head, run) if not row.problem]
    cells = [[storable(unescape(cell).strip()) for cell in row] for row in rows]
    if run.has_header and cells:
        return [name or f"Column {index}" for index, name in enumerate(cells[0], 1)], cells[1:]
    width = max(map(len, cells), default=0)
    return [f"Column {index}" for index in range(1, width + 1)], cells


def refusal_of(header: list[str], run: Import) -> str:
    """Say why a file with the columns of `header`, read as `run` says, can't be imported; "" where it can."""
    if len(header) <= MAX_COLUMNS:
        return ""
    return (
        f"Read with the {DELIMITERS[run.delimiter]} as delimiter, the file has {len(header):,} columns; {MAX_COLUMNS} "
        "are the most that can be imported. Leave out those that no template needs, and upload it again."
    )
