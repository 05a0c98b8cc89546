"""Names on the overview what keeps people from hearing of trouble: silence looks like all is well."""

from collections.abc import Iterator

from django.urls import reverse

from mailops.incidents.models import (
    Incident,
    Notice,
    NotificationChannel,
    Threshold,
    Watch,
)
from mailops.outbox.models import Status
from mailops.reports.matter import SHOWN, Matter


def troubles() -> Iterator[Matter]:
    yield from _unwatched()
    yield from _failing()
    yield from _untold()
    yield from _not_arrived()


def _unwatched() -> Iterator[Matter]:
    """Say that nobody looks any more: then nothing else on the page can be new."""
    last = Watch.objects.first()
    if last is None or Watch.objects.watching().exists():
        return
    yield Matter(
        "Nobody looks for trouble",
        "mailops does so every 10 seconds, but has not since then. Its clock (beat) or its housekeeping stands still, or "
        "fails at it: no incident opens or closes, nobody is told of any, and no campaign starts. See the log of mailops; "
        "“make up” starts both again when they die.",
        reverse("incidents:list"),
        "See what was open then",
        "bad",
        last.looked_at,
    )


def _failing() -> Iterator[Matter]:
    """Name each threshold that can't be looked at while the others are."""
    for threshold in Threshold.objects.failing().order_by("id"):
        yield Matter(
            f"Not watched: {threshold}",
            "mailops fails to look at this threshold. Until it can, no incident of it opens or closes, it pauses nothing, "
            "and nobody is told; the other thresholds are watched. The log of mailops says why: look for "
            f"“threshold {threshold.pk} ({threshold}) could not be looked at”.",
            reverse("incidents:thresholds"),
            "See the thresholds",
            "bad",
            threshold.failing_since_at,
        )


def _untold() -> Iterator[Matter]:
    """Say that nobody hears of the incidents that are open, where no channel is there to tell."""
    untold = list(Incident.objects.open().order_by("opened_at").values_list("opened_at", flat=True))
    if not untold or NotificationChannel.objects.filter(is_enabled=True).exists():
        return
    those, them = ("One is", "it") if len(untold) == 1 else (f"{len(untold):,} are", "them")
    yield Matter(
        "Nobody is told of incidents",
        f"{those} open, and there is no channel to tell of {them}: who does not look at the overview does not know.",
        reverse("incidents:channels"),
        "Say who is told",
        "warn",
        untold[0],
    )


def _not_arrived() -> Iterator[Matter]:
    """Yield the newest alert that did not reach its channel, of each channel."""
    found = Notice.objects.in_trouble().select_related("channel", "incident__threshold", "message")
    for notice in found.order_by("channel", "-pk").distinct("channel")[:SHOWN]:
        yield Matter(
            f"{_failure(notice)} {notice.channel}",
            f"{notice.get_occasion_display()}: {notice.incident or 'this is a test'}. {_why(notice)}".strip(),
            reverse("incidents:channels"),
            "See why, mend it, then test it",
            "bad",
            notice.created_at,
        )


def _failure(notice: Notice) -> str:
    is_doubtful = notice.message is not None and notice.message.status == Status.UNCERTAIN
    how = "may not have" if is_doubtful else "has not yet" if notice.may_arrive else "did not"
    return f"An alert {how} {'reach' if how == 'did not' else 'reached'} the channel"


def _why(notice: Notice) -> str:
    is_mail = notice.message is not None
    return notice.sentence or ("Its mail waits to leave." if is_mail else "It waits to be told.")
