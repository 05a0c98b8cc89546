"""Tells where a transport stands: what it may send now, and why that is less than it could."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import F, Q

from mailops.dispatch.limits import utc_today
from mailops.dispatch.models import Allowance, Pressure
from mailops.dispatch.rules import ALL
from mailops.lib.mailbox_providers import name_of
from mailops.transports.models import Stream, Transport, WarmUp


@dataclass(frozen=True)
class Hold:
    """Something that keeps mail of a stream from leaving as fast as it could."""

    title: str
    sentence: str
    detail: str = ""
    since: datetime | None = None
    tone: str = "info"


@dataclass(frozen=True)
class Ramp:
    """One warm-up, and what it let through today."""

    warm_up: WarmUp
    day: int
    volume: int | None  # None: it is warm
    sent: list[tuple[str, int]]  # provider → messages today, the most first


@dataclass(frozen=True)
class Standing:
    """What limits one transport now."""

    transport: Transport
    sent_today: int  # counted by its quota
    pressures: list[Pressure]
    ramps: list["Ramp"]


def standing_of(transport: Transport) -> Standing:
    """Return where `transport` stands, by the rows that dispatch goes by."""
    key = f"t{transport.pk}"
    of_it = Q(key=key) | Q(key__startswith=f"{key}:")
    spent = dict(Allowance.objects.today().filter(of_it).values_list("key", "spent"))
    stopped_first = F("stopped_until").desc(nulls_last=True)
    pressures = Pressure.objects.filter(transport=transport).with_now()
    return Standing(
        transport=transport,
        sent_today=spent.pop(key, 0),
        pressures=list(pressures.order_by(stopped_first, "mailbox_provider")),
        ramps=_ramps(transport, {name.partition(":")[2]: n for name, n in spent.items() if n}),
    )


def holds_of(stream: Stream) -> list[Hold]:
    """Return what holds mail of a stream back now, on its ways out in their order."""
    routes = stream.routes.select_related("transport").order_by("position")
    standings = [standing_of(route.transport) for route in routes]
    return [hold for standing in standings for hold in _holds(standing)]


def _holds(standing: Standing) -> Iterator[Hold]:
    transport, quota = standing.transport, standing.transport.daily_quota
    if transport.is_paused:
        yield Hold(
            f"{transport} is paused",
            transport.pause_sentence,
            transport.pause_detail,
            transport.paused_at,
            "warn",
        )
    elif transport.is_backing_off:
        title = f"{transport}: {transport.breaker_title}"
        yield Hold(title, transport.breaker_sentence, transport.breaker_detail, tone="bad")
    if quota and standing.sent_today >= quota:
        yield Hold(
            f"{transport} has sent its {quota:,} of today",
            "The rest leaves through the stream's next transport, or waits until midnight UTC.",
        )
    for ramp in standing.ramps:
        names = [name for name, sent in ramp.sent if ramp.volume and sent >= ramp.volume]
        if names:
            yield Hold(
                f"{transport} is warming up: {ramp.volume:,} a day at most to {_and(names)}",
                "Today's have left. The rest leaves through the stream's next transport, or waits until midnight UTC.",
            )
    for pressure in standing.pressures:
        title = f"{transport} sends {pressure.place_name} {pressure.now_at_most:,} a minute at most"
        yield Hold(title, pressure.sentence, pressure.detail, pressure.since, "warn")


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _ramps(transport: Transport, sent: dict[str, int]) -> list[Ramp]:
    warm_ups = list(transport.warm_ups.order_by("-mailbox_provider"))
    today = utc_today() if warm_ups else date.min
    own = {one.mailbox_provider for one in warm_ups if one.mailbox_provider}
    ramps = []
    for one in warm_ups:
        places = [one.mailbox_provider] if one.mailbox_provider else set(sent) - own - {ALL}
        numbers = [(_name(place), sent.get(place, 0)) for place in places]
        most_first = sorted(numbers, key=lambda number: -number[1])
        ramps.append(Ramp(one, one.day(today), one.volume(today), most_first))
    return ramps


def _name(provider: str) -> str:
    return name_of(provider) if provider else "other domains"
