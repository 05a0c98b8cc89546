"""Finds streams whose mail is due while no process lives that sends mail of their kind."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q

from mailops.dispatch.models import Worker
from mailops.incidents.models import Watch
from mailops.outbox.hinting import HINT_SECONDS
from mailops.outbox.models import QueueEntry
from mailops.outbox.queues import Queue, due_queues, has_waited
from mailops.outbox.waiting import COUNTED
from mailops.reports.attention import many_wait
from mailops.reports.moments import moment_of
from mailops.transports.models import Stream

WAITED = timedelta(minutes=2)  # a process that died is replaced, or one that starts ready, in less
# so many that were started and died in so long tell that the next will, too
LATELY, DEATHS = timedelta(minutes=5), 3


@dataclass(frozen=True)
class Unserved:
    """A stream, how many of its messages wait, and the process that was the last to send mail of its kind."""

    stream: Stream
    n: int
    last: Worker | None

    @property
    def sentence(self) -> str:
        kind = self.stream.get_kind_display().lower()
        many = f"{COUNTED:,} messages or more wait" if self.n >= COUNTED else many_wait(self.n)
        return (
            f"No process that sends {kind} mail lives, or none for long, and mail of {self.stream} has been due for "
            f"{WAITED.seconds // 60} minutes or more; {many}. {_what_became_of(self.last)}"
        )

    @property
    def to_do(self) -> str:
        end_it = ""
        if self.last is not None and self.last.dead_at and not self.last.stopped_at:
            end_it = f" End process {self.last.pid} first where it is still there."
        return (
            "Ask whoever runs mailops to start what sends it, where “make up” doesn't by itself; the log says at "
            f"“{self.stream.kind}” what went wrong.{end_it} The clocks of its machines may differ by {HINT_SECONDS} seconds at "
            "most. What is due leaves by itself then."
        )


def _what_became_of(last: Worker | None) -> str:
    """Say which process it was."""
    if last is None:
        return "None has ever started."
    name = f"The last was process {last.pid} on {last.host}"
    if last.stopped_at:
        return f"{name}, which ended as it was told to on {moment_of(last.stopped_at)}."
    if last.dead_at:
        return f"{name}, of which nothing was heard any more on {moment_of(last.dead_at)}: it died, or stands still."
    return f"{name}, which started on {moment_of(last.started_at)}."


def _served(now: datetime) -> set[str]:
    """Return the kinds of mail of which a process lives, or did a moment ago, unless those that start die one by one."""
    lately = now - WAITED
    alive = Worker.objects.alive()
    here = alive | Worker.objects.filter(Q(dead_at__gt=lately) | Q(stopped_at__gt=lately))
    died = Worker.objects.filter(dead_at__isnull=False, started_at__gt=now - LATELY)
    dying = died.values_list("lane").annotate(n=Count("pk")).filter(n__gte=DEATHS)
    lasting = alive.filter(started_at__lte=lately)
    found = set(here.values_list("lane", flat=True)) - {lane for lane, _ in dying}
    return found | set(lasting.values_list("lane", flat=True))


def unserved(now: datetime) -> Iterator[Unserved]:
    """Yield the running streams that nobody serves; none while mailops has just begun to look: all of it may be starting."""
    if not Watch.objects.watching(now, since=now - WAITED).exists():
        return
    streams = {one.pk: one for one in Stream.objects.running().exclude(kind__in=_served(now))}
    waiting: dict[int, list[Queue]] = defaultdict(list)
    for queue in due_queues(list(streams)) if streams else ():
        waiting[queue.stream].append(queue)
    lasts = Worker.objects.order_by("lane", "-pk").distinct("lane")
    last = {one.lane: one for one in lasts} if waiting else {}
    for pk, queues in waiting.items():
        if has_waited(queues, WAITED):
            n = QueueEntry.objects.filter(stream=pk, is_held=False)[:COUNTED].count()
            yield Unserved(streams[pk], n, last.get(streams[pk].kind))
