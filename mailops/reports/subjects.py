"""What a page of numbers may be about: one domain, stream, transport, campaign or mailbox provider."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Model, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse

from mailops.campaigns.models import Campaign
from mailops.domains.models import Domain
from mailops.lib.mailbox_providers import name_of
from mailops.lib.templatetags.navigation import resolve
from mailops.reports.periods import hour_of
from mailops.transports.models import Stream, Transport

_TICK = timedelta(microseconds=1)  # the quarter hour of a launch belongs to it whatever clocks say


@dataclass(frozen=True)
class Sort:
    """A column of counts that has pages of its own."""

    column: str
    word: str
    rows: "QuerySet[Any, Model] | None"  # None: a name that no row stands for
    page: str  # the thing's own page

    @property
    def filter_name(self) -> str:
        """Return what the query string calls it."""
        return self.column.removesuffix("_id")

    @property
    def short_word(self) -> str:
        """Return what addresses call it."""
        return self.word.rpartition(" ")[2]

    @property
    def url_name(self) -> str:
        return f"reports:{self.short_word}"


SORTS = {
    sort.column: sort
    for sort in (
        Sort("mailbox_provider", "mailbox provider", None, ""),
        Sort("domain_id", "domain", Domain.objects.all(), "domains:detail"),
        Sort("stream_id", "stream", Stream.objects.all(), "transports:stream-detail"),
        Sort("transport_id", "transport", Transport.objects.all(), "transports:detail"),
        Sort("campaign_id", "campaign", Campaign.objects.all(), "campaigns:detail"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Subject:
    sort: Sort
    value: Any  # of the column
    name: str
    row: Any  # None for a mailbox provider

    @property
    def choices(self) -> dict[str, Any]:
        return {self.sort.column: self.value}

    @property
    def query(self) -> dict[str, str]:
        """Return it as a filter of the reports."""
        return {self.sort.filter_name: str(self.value)}

    @property
    def url(self) -> str:
        return reverse(self.sort.url_name, args=[self.value])

    @property
    def page_url(self) -> str:
        return resolve(self.sort.page, self.value) if self.sort.page else ""

    @property
    def incidents_url(self) -> str:
        """Return the panel of its open incidents, where the app above that keeps them answers."""
        return resolve(f"incidents:{self.sort.short_word}-panel", self.value)

    @property
    def objective_url(self) -> str:
        """Return the panel of what a stream promises; nothing else promises anything."""
        is_stream = self.sort.column == "stream_id"
        return resolve("reports:objective-panel", self.value) if is_stream else ""

    @property
    def is_over(self) -> bool:
        """Tell whether it is a campaign that nothing is sent for any more; all else goes on."""
        return isinstance(self.row, Campaign) and not self.row.is_followed

    def lifetime(self, now: datetime) -> tuple[datetime, datetime] | None:
        """Return when a campaign was launched and when its last mail left; None for all else.

        What comes back later counts for the time at which its mail was sent. It begins with a full hour of UTC: once
        they are sealed, counts are told by these. It lasts an hour at least, but never into the time to come.
        """
        start: datetime | None = getattr(self.row, "started_at", None)
        if start is None:
            return None
        finished: datetime | None = getattr(self.row, "finished_at", None)
        end = min(now, max(finished or now, start + timedelta(hours=1)))
        return hour_of(start, UTC), max(end, start + _TICK)

    @property
    def is_paused(self) -> bool:
        return bool(getattr(self.row, "is_paused", False))

    @property
    def pill(self) -> str:
        """Return what its pill says: whether it runs, or how its domain stands."""
        return str(getattr(self.row, "state", "") or getattr(self.row, "status", ""))


def find_subject(column_and_value: Mapping[str, Any]) -> Subject:
    """Return the subject of an address such as {"stream_id": 3}; raise Http404 for one that is not there."""
    ((column, value),) = column_and_value.items()
    sort = SORTS[column]
    if sort.rows is not None:
        row = get_object_or_404(sort.rows, pk=value)
        return Subject(sort, value, str(row), row)
    if len(value) > 100 or not value.isprintable():
        raise Http404
    return Subject(sort, value, name_of(value), None)


def page_of(column: str, value: str) -> str:
    """Return the address of the numbers of `value` of a column of counts, or "" where it has no page."""
    sort = SORTS.get(column)
    return resolve(sort.url_name, value) if sort and value else ""
