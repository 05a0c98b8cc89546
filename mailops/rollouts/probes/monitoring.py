"""Probes of who watches: feedback that is heard, an owner, and alarms."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Max
from django.utils import timezone

from mailops.incidents.models import SubjectKind, Threshold
from mailops.outbox.models import CountKey, EventKind, Tally
from mailops.reports.models import Count
from mailops.rollouts.probes.proof import Proof
from mailops.transports.models import Stream

HEARD_WITHIN = timedelta(days=7)
HEARD = [
    EventKind.RETURNED,
    EventKind.DELIVERED,
    EventKind.DELAYED,
    EventKind.COMPLAINED,
    EventKind.UNSUBSCRIBED,
]
ALARMS = {Threshold.Measure.BOUNCES.value, Threshold.Measure.COMPLAINTS.value}
NO_OWNER = ("The stream has no owner.", "Name an owner on the stream's page.")


def owner(stream: Stream) -> Proof:
    """Check that somebody answers for `stream`."""
    person = stream.owner
    return Proof.over(
        [] if person and person.is_active else [NO_OWNER],
        well=f"{person} answers for this stream.",
        data={"owner": str(person or "")},
    )


def feedback(stream: Stream) -> Proof:
    """Check that feedback on `stream` was heard, that somebody owns it, and that alarms are on."""
    heard_at = _last_heard(stream)
    return Proof.over(
        _problems(stream, heard_at),
        well=f"Feedback was heard in the last {HEARD_WITHIN.days} days, {stream.owner} owns it, and alarms are on.",
        data={"last heard": str(heard_at or "never"), "owner": str(stream.owner or "")},
    )


def _problems(stream: Stream, heard_at: datetime | None) -> Iterator[tuple[str, str]]:
    if heard_at is None or heard_at < timezone.now() - HEARD_WITHIN:
        yield (
            f"No bounce, complaint or delivery notice came back for this stream in {HEARD_WITHIN.days} days.",
            "Send a message to a simulated mailbox such as later-bounce@, and see that its bounce arrives.",
        )
    if not (stream.owner and stream.owner.is_active):
        yield NO_OWNER
    if off := ALARMS - _alarms_on():
        yield (
            f"No alarm watches {' and '.join(sorted(off))}.",
            "Switch the thresholds on under Incidents.",
        )


def _alarms_on() -> set[str]:
    kinds = [SubjectKind.STREAM, SubjectKind.CAMPAIGN]
    watched = Threshold.objects.filter(is_enabled=True, subject_kind__in=kinds)
    reachable = watched.exclude(
        warn=None, act=None, stop=None
    )  # one without levels is never crossed
    return set(reachable.values_list("measure", flat=True))


def _last_heard(stream: Stream) -> datetime | None:
    """Return the quarter hour of the newest feedback: folded counts first, then what waits to be folded."""
    wanted = {"stream_id": stream.pk, "measure": CountKey.Measure.EVENT, "kind__in": HEARD}
    heard = [
        rows.filter(**wanted, bucket_at__gte=timezone.now() - HEARD_WITHIN).aggregate(
            at=Max("bucket_at")
        )["at"]
        for rows in (Count.objects, Tally.objects)
    ]
    return max(filter(None, heard), default=None)
