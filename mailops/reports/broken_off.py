"""Finds work on many rows that a person began, mailops gave up, and nobody has begun anew."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils.timezone import now

from mailops.audiences.models import Import
from mailops.lib.templatetags.navigation import resolve
from mailops.outbox.models import RelayLog, Resending, Settlement
from mailops.reports.matter import SHOWN, Matter
from mailops.suppressions.models import SuppressionImport

LATELY = timedelta(days=7)  # what broke off earlier is known


@dataclass(frozen=True)
class _Sort:
    """One sort of such work; `same` are the columns that a second try has in common with the first."""

    runs: Callable[[], "QuerySet[Any]"]
    same: tuple[str, ...]
    title: Callable[[Any], str]
    means: str
    page: str
    action: str
    tone: str = "warn"


_SORTS = (
    _Sort(
        Settlement.objects.all,
        ("campaign_id", "stream_id", "transport_id", "reason", "is_asked"),
        lambda run: (
            f"“{run.get_act_display()}” broke off after {run.settled:,} of {run.planned:,} messages"
        ),
        "",
        "outbox:settlement",
        "See why, then settle the rest",
    ),
    _Sort(
        lambda: Resending.objects.select_related("campaign"),
        ("campaign_id", "chosen"),
        lambda run: (
            f"Sending again{_of(run.campaign)} broke off after {run.looked_at:,} of {run.planned:,} messages"
        ),
        "The others are not sent again.",
        "outbox:resending",
        "See why, then send the rest again",
    ),
    _Sort(
        lambda: Import.objects.filter(audience__deleted_at=None).select_related("audience"),
        ("audience_id", "file_name"),
        lambda run: f"The import of {run.file_name} into {run.audience} broke off",
        "No campaign reaches those behind.",
        "audiences:import-detail",
        "See why, then import it again",
    ),
    _Sort(
        SuppressionImport.objects.all,
        ("stream_id", "file_name"),
        lambda run: f"The list of suppressions {run.file_name} was not read to its end",
        "Mail may still go to those behind.",
        "suppressions:import",
        "See why, then import it again",
        "bad",
    ),
    _Sort(
        RelayLog.objects.all,
        ("transport_id", "file_name"),
        lambda run: f"The relay's log {run.file_name} could not be read",
        "Nothing is settled by it.",
        "outbox:relay-log",
        "See why, then upload it again",
    ),
)


def broken_off() -> Iterator[Matter]:
    """Name what broke off lately, the newest of each sort first: whoever began it may believe it to be done."""
    for sort in _SORTS:
        for run in _last_failed(sort)[:SHOWN]:
            sentence = f"{run.sentence} {sort.means}".strip()
            url = resolve(sort.page, run.pk)
            yield Matter(sort.title(run), sentence, url, sort.action, sort.tone, run.finished_at)


def _last_failed(sort: _Sort) -> "QuerySet[Any]":
    """Keep those that failed, unless the same was begun again since: that one tells how it goes."""
    lately = sort.runs().filter(created_at__gt=now() - LATELY)
    last = lately.order_by(*sort.same, "-pk").distinct(*sort.same)
    return sort.runs().filter(pk__in=last.values("pk"), state="failed").order_by("-pk")


def _of(campaign: Any) -> str:
    return f" messages of {campaign}" if campaign else ""
