"""Finds streams whose error budget burns too fast, over a long window and still over a short one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailops.incidents.models import Level, Threshold
from mailops.reports.models import Objective
from mailops.reports.objectives import count_overdue, score
from mailops.reports.periods import QUARTER_HOUR
from mailops.transports.models import Stream


@dataclass(frozen=True)
class Window:
    """Too fast over `long`, and over `short` still: else it is over already."""

    level: Level
    long: timedelta
    short: timedelta
    burn: float


WINDOWS = (
    Window(Level.ACT, timedelta(hours=1), QUARTER_HOUR, 14.4),
    Window(Level.WARN, timedelta(hours=6), timedelta(hours=1), 6.0),
)


@dataclass(frozen=True)
class Burning:
    stream: Stream
    level: Level
    sentence: str
    since: datetime


def burning(threshold: Threshold, now: datetime) -> Iterator[Burning]:
    """Yield the streams whose budget burns too fast, each with the worst window."""
    for objective in Objective.objects.select_related("stream").order_by("pk"):
        overdue = count_overdue(objective)
        for window in WINDOWS:
            long = score(objective, now - window.long, now, overdue=overdue)
            short = score(objective, now - window.short, now, overdue=overdue)
            if long.whole < threshold.sample_floor or min(long.burn, short.burn) < window.burn:
                continue
            hours = window.long // timedelta(hours=1)
            span = "hour" if hours == 1 else f"{hours} hours"
            sentence = (
                f"{objective.stream} promises {objective}; of {long.whole:,} messages of the last {span} "
                f"{long.broken:,} broke it. Its error budget burns {long.burn:.1f} times as fast as it may."
            )
            yield Burning(objective.stream, window.level, sentence, now - window.long)
            break
