"""Silence is a symptom: tells how webhooks were called of late, and names the transports whose bounces no mail brings."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models.functions import Now

from mailops.feedback.models import RawFeedback
from mailops.transports.models import Transport

LEAST_MAILED = 1000  # messages; by SMTP only failures come back, and of so many some fail
MAIL_WINDOW = timedelta(days=7)
LOOKED_AT = 200  # calls of a webhook, the newest
TAIL = timedelta(hours=1)  # for which it may tell of what was before
READING = timedelta(minutes=5)  # that a call may wait for


@dataclass(frozen=True, slots=True)
class Calls:
    """How a webhook was called of late."""

    newest: RawFeedback | None  # of those that show how it does
    refused: Mapping[str, int]  # how many, by why

    @property
    def are_refused(self) -> bool:
        return self.newest is not None and self.newest.is_refused

    @property
    def are_unread(self) -> bool:
        return self.newest is not None and (self.newest.is_pending or self.newest.is_failed)


def calls_since(since: datetime, transport: Transport, now: datetime) -> Calls:
    """Return how the webhook of `transport` was called since then, by its newest LOOKED_AT calls."""
    newest = RawFeedback.objects.light().filter(transport=transport).order_by("-id")[:LOOKED_AT]
    calls = [one for one in newest if one.received_at >= since]
    refused = Counter(one.reason for one in calls if one.is_refused)
    telling = (one for one in calls if _says_something(one, since, now))
    return Calls(next(telling, None), refused)


def _says_something(call: RawFeedback, since: datetime, now: datetime) -> bool:
    """Tell whether a call shows how the webhook does: not one that is about to be read, or told of mail before `since`."""
    if call.is_pending:
        return call.received_at < now - READING
    return call.is_refused or call.is_failed or call.received_at >= since + TAIL


def silent_by_mail(accepted: Mapping[int, int]) -> list[tuple[Transport, str]]:
    """Return the relays of which no mail at all comes back, and say so; `accepted` is how much each took in a day."""
    by_mail = [RawFeedback.Source.MAIL, RawFeedback.Source.IMAP]
    heard = RawFeedback.objects.filter(source__in=by_mail, received_at__gt=Now() - MAIL_WINDOW)
    relays = [pk for pk, n in accepted.items() if n >= LEAST_MAILED]
    if not relays or heard.exists():
        return []
    silent = Transport.objects.filter(kind=Transport.Kind.SMTP, pk__in=relays).order_by("name")
    return [(one, _of_mail(accepted[one.pk])) for one in silent]


def _of_mail(n: int) -> str:
    return (
        f"It took {n:,} messages in a day, and no mail at all has come to the return-path host or a mailbox for a week: "
        "does its MX lead here?"
    )
