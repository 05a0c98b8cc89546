"""Tells what happened to a domain: records that changed, and checks whose answer changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import groupby

from mailops.domains.models import BY_SCHEDULE, DnsObservation, Domain
from mailops.domains.words import Word, difference

LIMIT = 1000  # of each; older ones stay in the database


@dataclass(frozen=True)
class Entry:
    at: datetime
    title: str
    status: str
    sentence: str = ""
    words: tuple[Word, ...] = ()
    noticed_by: str = ""

    @property
    def by_a_person(self) -> str:
        return "" if self.noticed_by == BY_SCHEDULE else self.noticed_by


def history(domain: Domain) -> list[Entry]:
    """Return what happened to `domain`, newest first."""
    newest = {"key": lambda entry: entry.at, "reverse": True}
    records = sorted(_record_changes(domain), **newest)  # type: ignore[call-overload]
    return list(merge(records, _status_changes(domain), **newest))  # type: ignore[call-overload]


def _status_changes(domain: Domain) -> Iterator[Entry]:
    for change in domain.finding_changes.order_by("-at")[:LIMIT]:
        yield Entry(
            change.at, change.told, change.after, change.sentence, noticed_by=change.noticed_by
        )


def _record_changes(domain: Domain) -> Iterator[Entry]:
    versions = (
        DnsObservation.objects.filter(record__domain=domain)
        .select_related("record")
        .order_by("record_id", "-first_seen_at")[:LIMIT]
    )
    for record, group in groupby(versions, key=lambda version: version.record):
        newest_first = list(group)
        older = [*newest_first[1:], None]
        for version, before in zip(newest_first, older, strict=True):
            yield Entry(
                at=version.first_seen_at,
                title=f"{record} {_what_happened(version, before)}",
                status="changed" if before else "seen",
                words=tuple(difference(before.values if before else [], version.values)),
                noticed_by=version.noticed_by,
            )


def _what_happened(version: DnsObservation, before: DnsObservation | None) -> str:
    if not version.values:
        return "was removed" if before else "was not there"
    if before is None:
        return "was seen for the first time"
    return "changed" if before.values else "was published"
