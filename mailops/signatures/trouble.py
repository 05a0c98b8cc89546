"""Names on the overview the lessons that failed: what was taught does not hold for all of the past."""

from collections.abc import Iterator

from django.db.models import F
from django.urls import reverse

from mailops.reports.matter import SHOWN, Matter
from mailops.signatures.models import Lesson


def troubles() -> Iterator[Matter]:
    failed = Lesson.objects.filter(
        state=Lesson.State.FAILED, revision=F("signature__revision")
    ).select_related("signature")
    for lesson in failed.order_by("-pk")[:SHOWN]:
        yield Matter(
            f"Not all past replies “{lesson.signature.title}” are understood as taught",
            lesson.sentence,
            reverse("signatures:lesson", args=[lesson.pk]),
            "See why, then try again",
            "warn",
            lesson.finished_at,
        )
