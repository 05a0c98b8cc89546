"""Deletes an audience: at once out of sight and out of use, then row by row in chunks that can be cut off anywhere."""

from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.audiences.models import Audience, ImportedAddress, ImportPiece, ImportRemark
from mailops.lib.chunks import delete_some
from mailops.lib.locks import lock_row

CHUNK = 20_000  # rows that one statement deletes
NAMED = 5  # campaigns


class StillNeeded(Exception):
    """The audience can't be deleted; the text says who needs it."""


def delete_audience(*, audience: Audience, actor: User) -> None:
    """Delete the audience, its name free again, and leave what is in it to `delete_chunk`; raise StillNeeded.

    Its memberships and imports go with it, the contacts stay.
    """
    members = audience.memberships.count()
    with transaction.atomic():
        if not lock_row(audience):
            return
        if needed := why_needed(audience):
            raise StillNeeded(needed)
        audit(
            actor=actor,
            verb="audience.delete",
            subject=audience,
            before={"name": audience.name, "members": members},
        )
        Audience.objects.filter(pk=audience.pk).update(deleted_at=Now(), name=f"deleted {uuid4()}")


def why_needed(audience: Audience) -> str:
    """Say which campaigns keep the audience from being deleted; "" where none does."""
    names = sorted(audience.campaigns.values_list("name", flat=True))
    if not names:
        return ""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return (
        f"It can't be deleted, since campaigns have it: {', '.join(names[:NAMED])}{more}. Delete those that are "
        "drafts, or give them another audience. What was sent stays told, and so does to whom."
    )


def half_deleted() -> list[int]:
    """Return the ids of the audiences that are deleted, but not all of what is in them."""
    return list(_deleted().values_list("pk", flat=True))


def delete_chunk(*, audience_id: int) -> bool:
    """Delete the next rows of a deleted audience, itself with the last ones; return whether there are more.

    False also where another process is at it.
    """
    with transaction.atomic():
        locked = _deleted().select_for_update(skip_locked=True)
        audience = locked.filter(pk=audience_id).first()
        if audience is None:
            return False
        if audience.deletion_fault:
            audience.deletion_fault = ""
            audience.save(update_fields=["deletion_fault"])
        if any(delete_some(rows, most=CHUNK) for rows in _rows_of(audience)):
            return True
        audience.delete()
        return False


def note_failure(audience_id: int, error: Exception) -> None:
    """Keep why a chunk could not be deleted; it is told until one can be."""
    _deleted().filter(pk=audience_id).update(deletion_fault=f"{type(error).__name__}: {error}")


def undeletable() -> QuerySet[Audience]:
    """Return the deleted audiences whose rows are still there, since deleting them failed."""
    return _deleted().exclude(deletion_fault="").order_by("deleted_at", "pk")


def _deleted() -> QuerySet[Audience]:
    return Audience.with_deleted.exclude(deleted_at=None)


def _rows_of(audience: Audience) -> list[QuerySet[Any]]:
    """Return all that there may be many of."""
    of_imports = (ImportRemark, ImportedAddress, ImportPiece)
    return [
        audience.memberships.all(),
        *(model._default_manager.filter(run__audience=audience) for model in of_imports),  # noqa: SLF001
    ]
