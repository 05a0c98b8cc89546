"""What stood still in a week, and for how long: pairs the pauses of the audit trail with what ended them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailops.accounts.models import AuditEntry
from mailops.lib.templatetags.navigation import resolve
from mailops.reports.periods import Period

MOST = 500  # entries that are read; a breaker that opens oftener in a week is told with what it has until then
BEFORE = timedelta(days=60)  # a pause that began earlier is among what stands still now

# what stops, what ends that, and what it is called
_PAIRS = (
    ("transport.pause", "transport.resume", "Transport {} was paused"),
    ("transport.breaker_open", "transport.breaker_close", "Transport {} could not be reached"),
    ("stream.pause", "stream.resume", "Stream {} was paused"),
    ("campaign.pause", "campaign.resume", "Campaign {} was paused"),
    ("domain.stop_bulk", "domain.go_on", "Bulk mail from {} was stopped"),
)
# what ends the pause of a campaign besides: it is canceled or, paused before its start, launched anew or a draft again
_OTHER_ENDS = ("campaign.cancel", "campaign.start", "campaign.schedule", "campaign.unschedule")
_ENDS = {end: begin for begin, end, _ in _PAIRS} | dict.fromkeys(_OTHER_ENDS, "campaign.pause")
_WORDS = {begin: words for begin, _, words in _PAIRS}
_PAGES = {
    "transport": "transports:detail",
    "stream": "transports:stream-detail",
    "campaign": "campaigns:detail",
    "domain": "domains:detail",
}


@dataclass(frozen=True)
class Stop:
    """Something that stood still: how often, and for how long within the week."""

    title: str
    reason: str  # of the last time
    url: str
    times: int
    lasted: timedelta
    is_over: bool


def stops(week: Period) -> list[Stop]:
    """Return what stood still in `week`, the longest first."""
    verbs = [*_WORDS, *_ENDS]
    found = AuditEntry.objects.filter(
        verb__in=verbs, at__gte=week.start - BEFORE, at__lt=week.end
    ).order_by("-at", "-pk")[:MOST]
    return paired(reversed(found), week)


def paired(entries: Iterable[AuditEntry], week: Period) -> list[Stop]:
    """Pair `entries`, the oldest first; what began before `week` counts from its beginning."""
    begun: dict[tuple[str, str], AuditEntry] = {}
    spans: dict[tuple[str, str], list[tuple[AuditEntry, datetime, bool]]] = {}
    for entry in entries:
        if entry.verb in _WORDS:
            begun.setdefault((entry.verb, entry.subject_id), entry)
        elif start := begun.pop((_ENDS[entry.verb], entry.subject_id), None):
            spans.setdefault((start.verb, start.subject_id), []).append((start, entry.at, True))
    for key, start in begun.items():
        spans.setdefault(key, []).append((start, week.end, False))
    told = (_stop(verb, found, week) for (verb, _), found in spans.items())
    return sorted(
        (stop for stop in told if stop.times), key=lambda stop: (-stop.lasted, stop.title)
    )


def _stop(verb: str, spans: list[tuple[AuditEntry, datetime, bool]], week: Period) -> Stop:
    within = [span for span in spans if span[1] > week.start]
    lasted = sum((end - max(entry.at, week.start) for entry, end, _ in within), timedelta())
    entry, _, is_over = (within or spans)[-1]
    page = _PAGES[verb.partition(".")[0]]
    return Stop(
        title=_WORDS[verb].format(entry.subject_label),
        reason=entry.reason,
        url=resolve(page, entry.subject_id),
        times=len(within),
        lasted=lasted,
        is_over=is_over,
    )
