"""What stood still in a week, and for how long: pairs the pauses of the audit trail with what ended them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mailops.accounts.models import AuditEntry
from mailops.campaigns.models import Campaign
from mailops.domains.models import Domain
from mailops.lib.templatetags.navigation import resolve
from mailops.reports.periods import Period
from mailops.transports.models import Stream, Transport

MOST = 500  # entries of each sort that are read; a breaker that opens oftener is told with its latest ones
BEFORE = timedelta(days=60)  # a pause that began earlier is among what stands still now

# what stops, what it is called, and what ends it besides the end of its subject
_STOPS = (
    ("transport.pause", "Transport {} was paused", ["transport.resume"]),
    (
        "transport.breaker_open",
        "Transport {} could not be reached",
        ["transport.breaker_close", "transport.resume"],  # a resume begins with a closed breaker
    ),
    ("stream.pause", "Stream {} was paused", ["stream.resume"]),
    (
        "campaign.pause",
        "Campaign {} was paused",
        [
            "campaign.resume",
            "campaign.cancel",
            # paused before its start, it is launched anew or a draft again
            "campaign.start",
            "campaign.schedule",
            "campaign.unschedule",
        ],
    ),
    ("domain.stop_bulk", "Bulk mail from {} was stopped", ["domain.go_on"]),
)
_WORDS = {begin: words for begin, words, _ in _STOPS}


def _kind(verb: str) -> str:
    return verb.partition(".")[0]


_ENDS: dict[str, list[str]] = {}  # what each verb ends
for _begin, _, _ends in _STOPS:
    for _end in (*_ends, f"{_kind(_begin)}.delete"):
        _ENDS.setdefault(_end, []).append(_begin)

_PAGES: dict[str, tuple[Any, str]] = {
    "transport": (Transport, "transports:detail"),
    "stream": (Stream, "transports:stream-detail"),
    "campaign": (Campaign, "campaigns:detail"),
    "domain": (Domain, "domains:detail"),
}


@dataclass(frozen=True)
class Stop:
    """Something that stood still: how often, and for how long within the week."""

    title: str
    reason: str  # of the last time
    url: str  # "" of what was deleted since
    times: int
    lasted: timedelta
    is_over: bool


def stops(week: Period) -> list[Stop]:
    """Return what stood still in `week`, the longest first."""
    told = AuditEntry.objects.filter(at__gte=week.start - BEFORE, at__lt=week.end)
    found: dict[int, AuditEntry] = {}
    for begin in _WORDS:
        verbs = [begin, *(end for end, begun in _ENDS.items() if begin in begun)]
        newest = told.filter(verb__in=verbs).order_by("-at", "-pk")[:MOST]
        found |= {entry.pk: entry for entry in newest}
    entries = sorted(found.values(), key=lambda entry: (entry.at, entry.pk))
    return paired(entries, week, _pages_of(entries))


def _pages_of(entries: Iterable[AuditEntry]) -> dict[tuple[str, str], str]:
    """Return the address of each subject's page by what it is and its id; what was deleted has none."""
    ids: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        ids[_kind(entry.verb)].add(entry.subject_id)
    return {
        (kind, str(pk)): resolve(page, pk)
        for kind, (model, page) in _PAGES.items()
        for pk in model.objects.filter(pk__in=ids[kind]).values_list("pk", flat=True)
    }


def paired(
    entries: Iterable[AuditEntry], week: Period, pages: Mapping[tuple[str, str], str]
) -> list[Stop]:
    """Pair `entries`, the oldest first; what began before `week` counts from its beginning."""
    begun: dict[tuple[str, str], AuditEntry] = {}
    spans: dict[tuple[str, str], list[tuple[AuditEntry, datetime, bool]]] = {}
    for entry in entries:
        if entry.verb in _WORDS:
            begun.setdefault((entry.verb, entry.subject_id), entry)
        for verb in _ENDS.get(entry.verb, ()):
            if start := begun.pop((verb, entry.subject_id), None):
                spans.setdefault((verb, entry.subject_id), []).append((start, entry.at, True))
    for key, start in begun.items():
        spans.setdefault(key, []).append((start, week.end, False))
    told = (_stop(verb, found, week, pages) for (verb, _), found in spans.items())
    return sorted(
        (stop for stop in told if stop.times), key=lambda stop: (-stop.lasted, stop.title)
    )


def _stop(
    verb: str,
    spans: list[tuple[AuditEntry, datetime, bool]],
    week: Period,
    pages: Mapping[tuple[str, str], str],
) -> Stop:
    within = [span for span in spans if span[1] > week.start]
    lasted = sum((end - max(entry.at, week.start) for entry, end, _ in within), timedelta())
    entry, _, is_over = (within or spans)[-1]
    return Stop(
        title=_WORDS[verb].format(entry.subject_label),
        reason=entry.reason,
        url=pages.get((_kind(verb), entry.subject_id), ""),
        times=len(within),
        lasted=lasted,
        is_over=is_over,
    )
