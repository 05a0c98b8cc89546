"""Tells where a transport stands: what it has sent today, and what it may send now."""

from dataclasses import dataclass
from datetime import date

from django.db.models import F, Q

from mailops.dispatch.limits import utc_today
from mailops.dispatch.models import Allowance, Pressure
from mailops.dispatch.rules import ALL
from mailops.lib.mailbox_providers import name_of
from mailops.transports.models import Transport, WarmUp


@dataclass(frozen=True)
class Ramp:
    """One warm-up, and what it let through today: it counts while it holds mail back, from when it was begun."""

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

    @property
    def is_warming(self) -> bool:
        """Whether a warm-up holds mail back today."""
        return any(ramp.volume is not None for ramp in self.ramps)


def standing_of(transport: Transport) -> Standing:
    """Return where `transport` stands, by the rows that dispatch goes by."""
    key = f"t{transport.pk}"
    of_it = Q(key=key) | Q(key__startswith=f"{key}:")
    today = utc_today()
    spent = dict(Allowance.objects.filter(of_it, day=today).values_list("key", "spent"))
    sent_today = spent.pop(key, 0)
    sent = {name.partition(":")[2]: number for name, number in spent.items() if number}
    stopped_first = F("stopped_until").desc(nulls_last=True)
    pressures = Pressure.objects.filter(transport=transport).with_now()
    return Standing(
        transport=transport,
        sent_today=sent_today,
        pressures=list(pressures.order_by(stopped_first, "mailbox_provider")),
        ramps=_ramps(transport, today, sent),
    )


def _ramps(transport: Transport, today: date, sent: dict[str, int]) -> list[Ramp]:
    warm_ups = list(transport.warm_ups.order_by("-mailbox_provider"))
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
