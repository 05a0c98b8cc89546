"""Finds the messages of which nobody knows whether they were sent, and what is known of each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import (
    Case,
    DateTimeField,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce
from django.utils.dateparse import parse_datetime

from mailops.campaigns.models import Campaign
from mailops.outbox.ledger import fetch_dicts
from mailops.outbox.models import IS_ASKED, Event, EventKind, Message, Status
from mailops.outbox.searching import NO_REASON
from mailops.transports.models import Stream, Transport


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which of the doubtful messages are meant; None or empty: whichever."""

    campaign: Campaign | None = None
    stream: Stream | None = None
    transport: Transport | None = None
    reason: str = ""
    is_asked: bool | None = None  # held to ask a person, or at rest as uncertain

    def of(self, messages: QuerySet[Message]) -> QuerySet[Message]:
        given: dict[str, Any] = {
            "campaign": self.campaign,
            "stream": self.stream,
            "transport": self.transport,
            "reason": self.reason,
        }
        chosen = {name: value for name, value in given.items() if value}
        if self.reason == NO_REASON:
            chosen["reason"] = ""
        return messages.filter(**chosen)

    @property
    def is_narrowed(self) -> bool:
        return any((self.campaign, self.stream, self.transport, self.reason)) or (
            self.is_asked is not None
        )


def doubtful(choice: Choice | None = None) -> list[QuerySet[Message]]:
    """Return the doubtful messages in two parts, uncertain and held to ask, each read along an index.

    In one query the two conditions would have the whole ledger read in the order of ids.
    """
    choice = choice or Choice()
    uncertain = Message.objects.filter(status=Status.UNCERTAIN)
    asked = Message.objects.filter(IS_ASKED)
    parts = {None: [uncertain, asked], True: [asked], False: [uncertain]}[choice.is_asked]
    return [choice.of(part) for part in parts]


def count_doubtful(choice: Choice | None = None, *, most: int | None = None) -> int:
    """Return how many are doubtful; at most `most` of each part are counted."""
    return sum(part[:most].count() if most else part.count() for part in doubtful(choice))


def newest(choice: Choice, *, before: int | None, limit: int) -> list[Message]:
    """Return the newest doubtful messages whose ids are below `before`."""
    rows: list[Message] = []
    for part in doubtful(choice):
        page = part.filter(pk__lt=before) if before else part
        related = page.select_related("stream", "campaign", "transport", "identity__domain")
        rows += related.order_by("-id")[:limit]
    return sorted(rows, key=lambda message: -message.pk)[:limit]


def doubtful_at(part: QuerySet[Message], *, until: datetime, fence_until: int) -> QuerySet[Message]:
    """Keep those that were doubtful at `until` already, so that what a person saw is what is done."""
    asked_then = Event.objects.filter(
        message=OuterRef("pk"),
        kind=EventKind.UNCERTAIN,
        fence=OuterRef("settling_fence"),
        recorded_at__lte=until,
    )
    then = Q(status=Status.UNCERTAIN, settled_at__lte=until) | (
        Q(status=Status.HELD) & Exists(asked_then)
    )
    return part.filter(then, settling_fence__lte=fence_until)


def with_times(messages: QuerySet[Message]) -> QuerySet[Any, Any]:
    """Add `began_at`, when the content began to go out, and `ended_at`, when the answer was given up on.

    Where nothing tells when it began, it is as early as can be: when the message was made.
    """
    told = Event.objects.filter(message=OuterRef("pk"), kind=EventKind.UNCERTAIN).order_by("-id")
    marked = told.annotate(
        marked=Case(
            When(data__has_key="marked_at", then=Cast(KT("data__marked_at"), DateTimeField())),
            default=Value(None, DateTimeField()),
        )
    )
    return messages.annotate(
        began_at=Coalesce(Subquery(marked.values("marked")[:1]), F("created_at")),
        ended_at=Coalesce(
            Subquery(told.values("occurred_at")[:1]), F("settled_at"), F("created_at")
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The attempt of which the answer is missing."""

    at: datetime
    marked_at: datetime | None
    phase: str
    peer: str
    reason: str
    detail: str

    @property
    def was_seen(self) -> bool:
        """Tell whether somebody saw it begin; of a restored message nobody knows whether there was one."""
        return self.reason != "restored"


def attempts(messages: list[Message]) -> dict[int, Attempt]:
    """Return the last unanswered attempt of each message that has one, in one query."""
    events = Event.objects.filter(
        message__in=[message.pk for message in messages], kind=EventKind.UNCERTAIN
    )
    return {
        event.message_id: _attempt(event)
        for event in events.order_by("message_id", "-id").distinct("message_id")
    }


def _attempt(event: Event) -> Attempt:
    data = event.data
    return Attempt(
        at=event.occurred_at,
        marked_at=parse_datetime(str(data.get("marked_at", ""))),
        phase=str(data.get("phase", "")),
        peer=str(data.get("peer", "")),
        reason=event.reason,
        detail=str(data.get("detail", "")),
    )


def what_settles(message: Message) -> str:
    """Say what would settle an uncertain message without a person's guess."""
    transport = message.transport
    if transport is None:
        return "A report on it, or the relay's log."
    if transport.kind == Transport.Kind.SMTP:
        return f"A report on it, or the log of {transport.host}."
    return f"An event of {transport.get_kind_display()}, by its webhook."


def moment() -> tuple[datetime, int]:
    """Return the database's time and the last fence given out: what a preview speaks of."""
    (row,) = fetch_dicts("SELECT clock_timestamp() AS until, last_value FROM outbox_fence", [])
    return row["until"], int(row["last_value"])
