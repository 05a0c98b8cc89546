"""Reads one page of the message list, at the same cost however many messages there are.

Newest first; by the time of their answer where a time is chosen. What no index finds is looked for among a bounded
number of messages at once: a page may hold few of them, or none, and still lead on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Max, Q, QuerySet

from mailops.lib.whole_numbers import LARGEST_ID
from mailops.outbox.ledger import fetch_first
from mailops.outbox.models import ANSWERED_AT, OPEN_STATUSES, Message, Status
from mailops.outbox.searching import chosen_by

PAGE = 50
LOOKED_AT = 100_000  # messages, for one page of what no index finds
WITHOUT_INDEX = ("stream", "reason", "reply", "transport", "mailbox_provider", "domain")


@dataclass(frozen=True)
class Page:
    rows: list[Message]
    before: int | None = None  # the id that the next page is read below, where there may be one
    looked_at: int | None = None  # how many were looked at, where that ended the page


def read_page(data: Mapping[str, Any]) -> Page:
    """Return the messages that the list's filter, validated, stands for, below the one it says."""
    found = chosen_by(data).select_related("stream", "campaign")
    if data["answered_since"] or data["answered_until"]:
        return _by_answer(found, data["before"])
    if data["before"]:
        found = found.filter(pk__lt=data["before"])
    if not data["q"] and data["signature"] is None and any(data[name] for name in WITHOUT_INDEX):
        return _bounded(found, data)
    if (data["campaign"] or data["status"]) and not data["q"] and data["signature"] is None:
        return _page(_newest(found, _ids(data["campaign"], data["status"], data["before"])))
    return _page(list(found.order_by("-pk")[: PAGE + 1]))


def _page(rows: list[Message]) -> Page:
    return Page(rows[:PAGE], rows[PAGE - 1].pk if len(rows) > PAGE else None)


def _newest(found: QuerySet[Message], ids: list[int]) -> list[Message]:
    return list(found.filter(pk__in=ids).order_by("-pk")[: PAGE + 1])


def _ids(campaign_id: int | None, status: str, before: int | None) -> list[int]:
    """Return the newest messages of a campaign, or of any, by the statuses that `status` stands for ("" is all).

    The newest of each are asked for, then those of all: each index has them by status. It is done in the index's own
    order, by comparisons that leave no other to ask. By equations that might as well be the ids' index, which is read for
    as long as there are messages without that status, or to its end where there is none.
    """
    statuses = {"": list(Status), "open": list(OPEN_STATUSES)}.get(status, [status])
    if campaign_id:
        return _of_campaign(campaign_id, statuses, before)
    found = Message.objects.filter(pk__lt=before) if before else Message.objects.all()
    ids: list[int] = []
    for one in statuses:
        rows = found.filter(status__range=(one, one)).order_by("status", "-pk")
        ids += rows.values_list("pk", flat=True)[: PAGE + 1]
    return sorted(ids, reverse=True)[: PAGE + 1]


def _of_campaign(campaign_id: int, statuses: Iterable[str], before: int | None) -> list[int]:
    return fetch_first(
        """
        SELECT id FROM unnest(%(statuses)s::text[]) AS s(status) CROSS JOIN LATERAL (
               SELECT id FROM outbox_message m WHERE (m.campaign_id, m.status) >= (%(campaign)s, s.status)
                  AND (m.campaign_id, m.status, m.id) <= (%(campaign)s, s.status, %(last)s)
                ORDER BY m.campaign_id DESC, m.status DESC, m.id DESC LIMIT %(most)s) newest
         ORDER BY id DESC LIMIT %(most)s
        """,
        {
            "statuses": list(map(str, statuses)), "campaign": campaign_id, "most": PAGE + 1,
            "last": LARGEST_ID if before is None else before - 1,
        },
    )  # fmt: skip


def _bounded(found: QuerySet[Message], data: Mapping[str, Any]) -> Page:
    newest = _newest_id(data["campaign"], data["before"])
    if newest is None:
        return Page([])
    bottom = newest + 1 - LOOKED_AT
    rows = list(found.filter(pk__gte=bottom).order_by("-pk")[: PAGE + 1])
    older = _newest_id(data["campaign"], bottom)
    if len(rows) > PAGE or older is None:
        return _page(rows)
    return Page(rows, older + 1, LOOKED_AT)


def _newest_id(campaign_id: int | None, before: int | None) -> int | None:
    """Return the newest message, of a campaign or any, below `before`: ids that nobody has are passed over at once."""
    if campaign_id:
        return next(iter(_ids(campaign_id, "", before)), None)
    known = Message.objects.all() if before is None else Message.objects.filter(pk__lt=before)
    newest: int | None = known.aggregate(newest=Max("pk"))["newest"]
    return newest


def _by_answer(found: QuerySet[Message], before: int | None) -> Page:
    """Return those answered in a time, the latest answer first; `before` is the last that was shown."""
    if before:
        last = Message.objects.filter(pk=before).only("accepted_at", "settled_at").first()
        at = last and (last.accepted_at or last.settled_at)
        if at is None:  # it waits again since
            return Page([])
        found = found.alias(at=ANSWERED_AT).filter(
            Q(at__lt=at) | Q(at=at, pk__lt=before), at__lte=at
        )
    return _page(list(found.order_by(ANSWERED_AT.desc(), "-pk")[: PAGE + 1]))
