"""Names on the overview the channels that did not hear of an incident: silence looks like all is well."""

from collections.abc import Iterator

from django.urls import reverse

from mailops.incidents.models import Notice
from mailops.outbox.models import Status
from mailops.reports.attention import SHOWN, Matter


def troubles() -> Iterator[Matter]:
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
