"""Names on the overview the weekly digests that were not sent, or did not arrive: one that stays away looks like a quiet week."""

from collections.abc import Iterator

from django.urls import reverse

from mailops.digests.models import Digest
from mailops.reports.matter import Matter


def troubles() -> Iterator[Matter]:
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
