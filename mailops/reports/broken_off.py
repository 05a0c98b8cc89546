"""Finds work on many rows that a person began, mailops gave up, and nobody has begun anew or done in another way."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils.timezone import now

from mailops.audiences.models import Import
from mailops.lib.templatetags.navigation import resolve
from mailops.outbox.bulk_settling import unfinished
from mailops.outbox.models import RelayLog, Resending, Settlement
from mailops.reports.matter import SHOWN, Matter
from mailops.suppressions.models import SuppressionImport, TakingBack

LOOKED_AT = 50  # of a sort, whether something is left of them
LATELY = timedelta(days=7)  # what broke off earlier is known


@dataclass(frozen=True)
class _Sort:
    """One sort of such work; `same` are the columns that a second try has in common with the first.

    Where it can be known, `unfinished` returns the ids of those of which something is left to do.
    """

    runs: Callable[[], "QuerySet[Any]"]
    same: tuple[str, ...]
    title: Callable[[Any], str]
    means: str
    page: str
    action: str
    tone: str = "warn"
    unfinished: Callable[[Iterable[Any]], set[int]] | None = None


_SORTS = (
    _Sort(
        lambda: Settlement.objects.select_related(
            "campaign", "stream", "transport", "relay_log__transport"
        ),
        ("campaign_id", "stream_id", "transport_id", "reason", "is_asked"),
        lambda run: (
            f"“{run.get_act_display()}” broke off after {run.settled:,} of {run.planned:,} messages"
        ),
        "",
        "outbox:settlement",
        "See why, then settle the rest",
        unfinished=unfinished,
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
        lambda: TakingBack.objects.select_related("run"),
        ("run_id",),
        lambda run: f"Taking back the suppressions of {run} broke off",
        "Mail may still be kept from those behind.",
        "suppressions:take-back",
        "See why, then take back the rest",
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
        for run in _left_over(sort)[:SHOWN]:
            sentence = f"{run.sentence} {sort.means}".strip()
            url = resolve(sort.page, run.pk)
            yield Matter(sort.title(run), sentence, url, sort.action, sort.tone, run.finished_at)


def _left_over(sort: _Sort) -> list[Any]:
    failed = list(_last_failed(sort)[:LOOKED_AT])
    if sort.unfinished is None:
        return failed
    left = sort.unfinished(failed)
    return [run for run in failed if run.pk in left]


def _last_failed(sort: _Sort) -> "QuerySet[Any]":
    """Keep those that failed, unless the same was begun again since: that one tells how it goes."""
    lately = sort.runs().filter(created_at__gt=now() - LATELY)
    last = lately.order_by(*sort.same, "-pk").distinct(*sort.same)
    return sort.runs().filter(pk__in=last.values("pk"), state="failed").order_by("-pk")


def _of(campaign: Any) -> str:
    return f" messages of {campaign}" if campaign else ""
