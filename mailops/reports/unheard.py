"""Finds providers that took mail and tell nothing of it: where their webhooks are silent, no bounce is heard."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q

from mailops.feedback.models import WebhookEndpoint
from mailops.feedback.silence import LOOKED_AT, Calls, calls_since
from mailops.outbox.models import EventKind
from mailops.reports.models import RolledFigure
from mailops.reports.moments import moment_of
from mailops.transports.kinds.apis import TELLING
from mailops.transports.models import Transport

PATIENCE = timedelta(hours=1)  # that a provider may take to tell what became of an hour's mail
LEAST = 50  # messages that it told nothing of
FEW = 20  # times as many, where it tells of failures alone: of so many, some fail
HEARD = 10  # percent of an hour's mail: of less, mail is lost sight of; providers that take it in bulk may lag
WINDOW = timedelta(days=7)
HABIT = timedelta(days=28)  # in which it is seen whether deliveries are told
HOUR = timedelta(hours=1)
TOLD = (EventKind.DELIVERED, EventKind.RETURNED, EventKind.DELAYED, EventKind.COMPLAINED)


@dataclass(frozen=True, slots=True)
class Hour:
    """The mail that a provider took within one hour, and how much was told of it until now."""

    at: datetime
    accepted: int
    told: int

    def is_heard_of(self, *, wholly: bool) -> bool:
        """Tell whether the webhook told of it: of each message, or of failures alone."""
        return self.told > 0 and (not wholly or 100 * self.told >= HEARD * self.accepted)


@dataclass(frozen=True, slots=True)
class Unheard:
    """A transport whose provider took mail, and told next to nothing of it since `since`."""

    transport: Transport
    endpoint: WebhookEndpoint | None  # none where no webhook was ever set up
    since: datetime
    n: int
    told: int
    habit: Collection[str]  # the kinds of events that it told of within HABIT
    calls: Calls

    @property
    def is_certain(self) -> bool:
        """Whether it went silent: it told of each message before, or calls and is refused."""
        return EventKind.DELIVERED in self.habit or self.calls.are_refused

    @property
    def sentence(self) -> str:
        if self.endpoint is None:
            return f"It took {self.n:,} messages in a week and has no webhook, so bounces and complaints are not heard."
        told = f"of only {self.told:,}" if self.told else "of none"
        return (
            f"{self.transport} took {self.n:,} messages since {moment_of(self.since)}, and its provider told {told} of them "
            f"what became of it. {self._why(self.endpoint)} Bounces and complaints are not known here, and mail goes on to "
            "addresses that are gone."
        )

    def _why(self, endpoint: WebhookEndpoint) -> str:
        """Say what is wrong, as far as the calls show it."""
        newest = self.calls.newest
        if endpoint.last_heard_at is None:
            return "Its webhook was never called."
        if newest is None:
            few = (
                ""
                if _tells_all(self.habit)
                else " It tells of failures alone, but of so many some fail."
            )
            return f"No call has come since {moment_of(endpoint.last_heard_at)}.{few}"
        if self.calls.are_refused:
            n = sum(self.calls.refused.values())
            many = f"{n:,} or more" if n >= LOOKED_AT else f"{n:,}"
            return f"It calls and is refused, {many} times: {newest.reason}"
        if self.calls.are_unread:
            return f"It calls, but mailops has not read that{f': {newest.reason}' if newest.reason else '.'}"
        return "It calls and is believed, but speaks of other things."

    @property
    def to_do(self) -> str:
        if self.endpoint is None or self.endpoint.last_heard_at is None:
            return "Register the webhook's address at the provider, and let it send a test."
        if self.calls.newest is None:
            return "See at the provider whether the webhook's address is registered there still, and what its calls were answered."
        if self.calls.are_refused:
            return "See on the webhook's page how its calls are proven; give both sides the same key, then read them again."
        if self.calls.are_unread:
            return "See on the webhook's page what came, and in the log of mailops what “housekeeping” said last."
        return (
            "See at the provider that all events are chosen, and that the webhook's address belongs to the account that "
            "this transport sends by."
        )

    @property
    def technical(self) -> str:
        lines = [f"{n:,} × {why}" for why, n in self.calls.refused.items()]
        if self.endpoint is not None:
            heard, proven = self.endpoint.last_heard_at, self.endpoint.last_proven_at
            lines += [f"Last heard: {_exactly(heard)}", f"Last proven: {_exactly(proven)}"]
        return "\n".join(lines)


def _tells_all(habit: Collection[str]) -> bool:
    """Tell whether something is due for each message; so it is believed of one that never told anything."""
    return EventKind.DELIVERED in habit or not habit


def _exactly(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else "never"


def unheard(
    now: datetime, *, least: int = LEAST, judged: Mapping[int, datetime] | None = None
) -> Iterator[Unheard]:
    """Yield the transports with webhooks whose provider told next to nothing of `least` messages or more, by name.

    Mail counts by its hour, an hour after that ended, and from `judged` on where a person said that it is well. What a
    provider told of an hour's mail ends its silence about all before that, at once.
    """
    transports = Transport.objects.filter(kind__in=TELLING).in_bulk()
    if not transports:
        return
    endpoints = {
        one.transport_id: one for one in WebhookEndpoint.objects.filter(transport__in=transports)
    }
    hours, habits = _hours(transports, now - WINDOW), _habits(transports, now - HABIT)
    for transport in sorted(transports.values(), key=str):
        pk, endpoint = transport.pk, endpoints.get(transport.pk)
        since = max(
            now - WINDOW,
            (judged or {}).get(pk, now - WINDOW),
            endpoint.created_at if endpoint else now - WINDOW,
        )
        wholly = _tells_all(habits[pk])
        lost = _lost(hours[pk], since=since, until=now - PATIENCE, wholly=wholly)
        n = sum(hour.accepted for hour in lost)
        if n < (least if wholly else FEW * least):
            continue
        begun = lost[0].at
        calls = calls_since(begun, transport, now) if endpoint else Calls(None, {})
        told = sum(hour.told for hour in lost)
        yield Unheard(transport, endpoint, begun, n, told, habits[pk], calls)


def _lost(
    hours: Sequence[Hour], *, since: datetime, until: datetime, wholly: bool
) -> Sequence[Hour]:
    """Return the hours of mail since the last that was told of, but for those of which that is not due yet."""
    heard = [hour.at + HOUR for hour in hours if hour.is_heard_of(wholly=wholly)]
    begin = max([since, *heard])
    return [hour for hour in hours if hour.at >= begin and hour.at + HOUR <= until]


def _hours(ids: Collection[int], since: datetime) -> Mapping[int, Sequence[Hour]]:
    """Return by transport what it took in each hour, in order."""
    found: dict[tuple[int, datetime], dict[bool, int]] = defaultdict(lambda: {True: 0, False: 0})
    figures = RolledFigure.objects.events(EventKind.ACCEPTED, *TOLD)
    chosen = figures.filter(_of(ids, minutes=60), cohort_at__gte=since)
    for value, at, kind, n in chosen.summed("value", "cohort_at", "kind"):
        found[int(value), at][kind == EventKind.ACCEPTED] += n
    hours: dict[int, list[Hour]] = defaultdict(list)
    for (pk, at), sums in sorted(found.items()):
        if sums[True] > 0:
            hours[pk].append(Hour(at, sums[True], sums[False]))
    return hours


def _of(ids: Collection[int], *, minutes: int) -> Q:
    return Q(dimension="transport_id", step=minutes, value__in=[str(pk) for pk in ids])


def _habits(ids: Collection[int], since: datetime) -> Mapping[int, Collection[str]]:
    """Return by transport what kinds of events were told of its mail."""
    habits: dict[int, set[str]] = defaultdict(set)
    told = RolledFigure.objects.events(*TOLD)
    for value, kind, n in told.filter(_of(ids, minutes=1440), cohort_at__gte=since).summed("value", "kind"):  # fmt: skip
        if n > 0:
            habits[int(value)].add(kind)
    return habits
