"""Names on the overview the weekly digests that were not sent, or did not arrive: one that stays away looks like a quiet week."""

from collections.abc import Iterator

from django.db.models.functions import Now
from django.urls import reverse

from mailops.accounts.models import AuditEntry, User
from mailops.digests.models import Digest
from mailops.digests.warning import NOT_TOLD, TOLD_OF
from mailops.reports.matter import Matter


def troubles() -> Iterator[Matter]:
    yield from _untold_resets()
    yield from _digests()


def _untold_resets() -> Iterator[Matter]:
    """Yield of whom no mail said that their second factor was reset; who logged in since was told then."""
    notes = AuditEntry.objects.filter(verb=NOT_TOLD, at__gt=Now() - TOLD_OF).order_by("-at")
    people = {str(user.pk): user for user in User.objects.filter(is_active=True)}
    waiting: dict[User, AuditEntry] = {}
    for note in notes:
        user = people.get(note.subject_id)
        if user and (user.last_login is None or user.last_login < note.at):
            waiting.setdefault(user, note)
    for user, note in waiting.items():
        yield Matter(
            f"No mail told {user} that their second factor was reset",
            f"{note.reason} Tell them yourself; mailops tells them when they log in next.",
            reverse("accounts:audit"),
            "See the audit trail",
            "warn",
            note.at,
        )


def _digests() -> Iterator[Matter]:
    found = Digest.objects.in_trouble().select_related("user", "message").order_by("-pk")
    newest = found.first()
    if newest is None:
        return
    people = found.order_by().values("user").distinct().count()
    whom = str(newest.user) if people == 1 else f"{people:,} people"
    yield Matter(
        f"The weekly digest did not reach {whom}",
        newest.sentence,
        reverse("digests:mine"),
        "See why",
        "warn",
        newest.created_at,
    )
