"""Deletes feedback that is too old to be asked after; what it led to stays as events and suppressions."""

from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from mailops.feedback.models import AggregateReport, RawFeedback
from mailops.lib.chunks import delete_some

CHUNK = 1000  # rows with all their content, well under a second
REPORTS = 20  # on domains, each of some thousand senders
REPORTS_KEPT = timedelta(days=92)  # what is said of a domain goes by the last month


def forget_old() -> int:
    """Delete the oldest pieces that were read or quarantined longer ago than the setting says; return how many.

    Fewer than CHUNK means that no more are left. Those that nobody has read yet stay, however old: they wait, or
    mailops failed on them, and they may still say what became of a message.
    """
    concluded = [RawFeedback.State.PROCESSED, RawFeedback.State.QUARANTINED]
    # Ids follow the time of arrival: looking at the first ones only, no call reads more than a chunk.
    first = RawFeedback.objects.filter(state__in=concluded).order_by("id")[:CHUNK]
    age = timedelta(days=settings.MAILOPS_RAW_FEEDBACK_DAYS)
    old = RawFeedback.objects.filter(pk__in=first.values("pk"), received_at__lt=Now() - age)
    _, by_model = old.delete()
    return by_model.get(RawFeedback._meta.label, 0)  # noqa: SLF001 - Django's public-by-convention API


def forget_old_reports() -> int:
    """Delete the oldest reports on domains, of which anybody may send any number; return how many.

    Fewer than REPORTS means that no more are left.
    """
    old = AggregateReport.objects.filter(ends_at__lt=Now() - REPORTS_KEPT).order_by("ends_at")
    return delete_some(old, most=REPORTS)
