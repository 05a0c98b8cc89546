"""Tells what happened to a domain: records that changed, and checks whose answer changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import merge

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
    return list(merge(_record_changes(domain), _status_changes(domain), **newest))  # type: ignore[call-overload]


def _status_changes(domain: Domain) -> Iterator[Entry]:
    for change in domain.finding_changes.order_by("-at", "-pk")[:LIMIT]:
        yield Entry(
            change.at, change.told, change.after, change.sentence, noticed_by=change.noticed_by
        )


def _record_changes(domain: Domain) -> Iterator[Entry]:
    versions = DnsObservation.objects.filter(record__domain=domain).with_values_before()
    newest = versions.select_related("record").order_by("-first_seen_at", "-pk")
    for version in newest[:LIMIT]:
        before: list[str] | None = getattr(version, "values_before", None)
        yield Entry(
            at=version.first_seen_at,
            title=f"{version.record} {_what_happened(version.values, before)}",
            status="seen" if before is None else "changed",
            words=tuple(difference(before or [], version.values)),
            noticed_by=version.noticed_by,
        )


def _what_happened(values: list[str], before: list[str] | None) -> str:
    if not values:
        return "was not there" if before is None else "was removed"
    if before is None:
        return "was seen for the first time"
    return "changed" if before else "was published"
