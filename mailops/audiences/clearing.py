"""Deletes what only the reading of a file needed, once its import is over: in chunks that can be cut off anywhere.

A file of a gigabyte leaves some twenty million rows behind, and neither the last chunk of its import, which keeps the rows
of audiences locked, nor whoever stops it can wait until all of them are gone.
"""

from django.db import transaction
from django.db.models import Exists, OuterRef

from mailops.audiences.models import Import, ImportedAddress, ImportPiece
from mailops.lib.chunks import delete_some

CHUNK = 20_000  # rows that one statement deletes
_NEEDED = (ImportPiece, ImportedAddress)


def uncleared() -> list[int]:
    """Return the ids of the imports that are over, but not all of what their reading needed is gone."""
    over = Import.objects.over()
    found = [over.filter(Exists(one.objects.filter(run=OuterRef("pk")))) for one in _NEEDED]
    return sorted({pk for imports in found for pk in imports.values_list("pk", flat=True)})


def clear_chunk(*, run_id: int) -> bool:
    """Delete the next rows that an import left; return whether there may be more (False also where another is at it)."""
    with transaction.atomic():
        run = Import.objects.over().select_for_update(skip_locked=True).filter(pk=run_id).first()
        if run is None:
            return False
        return any(delete_some(one.objects.filter(run=run), most=CHUNK) for one in _NEEDED)
