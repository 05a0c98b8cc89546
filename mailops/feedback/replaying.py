"""Reads archived feedback again, after a mistake of mailops or of a person was mended."""

from collections.abc import Iterator

from django.db.models import QuerySet

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.feedback.models import RawFeedback
from mailops.feedback.processing import process_one

CHUNK = 200


def replay(*, row: RawFeedback, actor: User | None) -> None:
    """Read one piece again and refresh `row`; what was recorded of it already stays as it is."""
    before = {"state": row.state, "reason": row.reason}
    process_one(row)
    row.refresh_from_db()
    after = {"state": row.state, "reason": row.reason}
    audit(actor=actor, verb="feedback.replay", subject=row, before=before, after=after)


def replay_all(rows: QuerySet[RawFeedback]) -> Iterator[RawFeedback]:
    """Read each of `rows` again, oldest first, and yield it as it is then; memory stays flat."""
    last = 0
    while ids := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        for last in ids:
            row = RawFeedback.objects.get(pk=last)
            process_one(row)
            row.refresh_from_db()
            yield row
