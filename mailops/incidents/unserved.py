"""Finds streams whose mail is due while no process lives that sends mail of their kind."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailops.dispatch.models import Worker
from mailops.incidents.models import Watch
from mailops.outbox.models import QueueEntry
from mailops.outbox.queues import Queue, due_queues, has_waited
from mailops.transports.models import Stream

WAITED = timedelta(minutes=2)  # a process that died is replaced, or one that starts ready, in less
COUNTED = 10_000  # at most


@dataclass(frozen=True)
class Unserved:
    """A stream, and how many of its messages wait."""

    stream: Stream
    n: int

    @property
    def sentence(self) -> str:
        kind = self.stream.get_kind_display().lower()
        many = f"{COUNTED:,} messages or more wait" if self.n >= COUNTED else _waiting(self.n)
        return (
            f"No process that sends {kind} mail lives, and mail of {self.stream} has been due for {WAITED.seconds // 60} "
            f"minutes or more; {many}. See the log of mailops: what “{self.stream.kind}” said last. “make up” starts a "
            "process again that died; end one that stands still. Where yours are started otherwise, start it."
        )


def _waiting(n: int) -> str:
    return "1 message waits" if n == 1 else f"{n:,} messages wait"


def unserved(now: datetime) -> Iterator[Unserved]:
    """Yield the running streams that nobody serves; none while mailops has just begun to look: all of it may be starting."""
    if not Watch.objects.watching(now, since=now - WAITED).exists():
        return
    living = set(Worker.objects.alive().values_list("lane", flat=True))
    streams = {one.pk: one for one in Stream.objects.running().exclude(kind__in=living)}
    waiting: dict[int, list[Queue]] = defaultdict(list)
    for queue in due_queues(list(streams)) if streams else ():
        waiting[queue.stream].append(queue)
    for pk, queues in waiting.items():
        if has_waited(queues, WAITED):
            n = QueueEntry.objects.filter(stream=pk, is_held=False)[:COUNTED].count()
            yield Unserved(streams[pk], n)
