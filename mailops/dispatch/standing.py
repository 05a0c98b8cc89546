"""Tells where a transport stands: what it has sent today, and what it may send now."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from django.db.models import F, Q

from mailops.dispatch.limits import Limit, utc_today
from mailops.dispatch.models import Allowance, Crowding, Pressure
from mailops.dispatch.rules import ALL, Rules, read_rules
from mailops.lib.mailbox_providers import name_of
from mailops.transports.models import Stream, Transport, WarmUp


@dataclass(frozen=True)
class Ramp:
    """One warm-up, and what it let through today: it counts while it holds mail back, from when it was begun."""

    warm_up: WarmUp
    day: int
    volume: int | None  # None: it is warm
    sent: list[tuple[str, int]]  # place → messages today, the most first

    @property
    def sent_to(self) -> list[tuple[str, int]]:
        return [(place_name(place), number) for place, number in self.sent]


@dataclass(frozen=True)
class Sessions:
    """How many sessions at once some streams have through a transport."""

    whole: int  # of the transport
    kept: int = 0  # of those, for other streams
    keepers: tuple[str, ...] = ()  # the names of those

    @property
    def open(self) -> int:
        return self.whole - self.kept

    @property
    def words(self) -> str:
        return f"{self.open:,} session{'' if self.open == 1 else 's'} at most"

    @property
    def why(self) -> str:
        """Say why it is not all of them; nothing where it is."""
        if not self.kept:
            return ""
        verb = "is" if self.kept == 1 else "are"
        return f"{self.kept:,} of its {self.whole:,} {verb} kept for {', '.join(self.keepers)}."


def sessions_of(transport: Transport, stream_ids: Iterable[int] = ()) -> Sessions:
    """Return the sessions that these streams have; without any, those of a stream that has nothing reserved."""
    return sessions_by(read_rules(transport.pk, stream_ids), stream_ids)


def sessions_by(rules: Rules, stream_ids: Iterable[int]) -> Sessions:
    """Return the sessions of the transport whose rules were read."""
    own = set(stream_ids)
    kept = rules.seats_reserved_from(own, rules.max_sessions)
    keepers = keepers_of(rules.transport, own) if kept else ()
    return Sessions(rules.max_sessions, kept, keepers)


def keepers_of(limit: Limit, stream_ids: Collection[int]) -> tuple[str, ...]:
    """Return the names of the streams other than these for which a part of a limit is kept."""
    keepers = Stream.objects.filter(pk__in=limit.shares.keys() - set(stream_ids))
    return tuple(sorted(str(one) for one in keepers))


@dataclass(frozen=True)
class Standing:
    """What limits one transport now."""

    transport: Transport
    sent_today: int  # counted by its quota
    pressures: list[Pressure]
    crowding: Crowding | None
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
        crowding=Crowding.objects.of(transport),
        ramps=_ramps(transport, today, sent),
    )


def _ramps(transport: Transport, today: date, sent: dict[str, int]) -> list[Ramp]:
    warm_ups = list(transport.warm_ups.order_by("-mailbox_provider"))
    own = {one.mailbox_provider for one in warm_ups if one.mailbox_provider}
    ramps = []
    for one in warm_ups:
        places = [one.mailbox_provider] if one.mailbox_provider else set(sent) - own - {ALL}
        numbers = [(place, sent.get(place, 0)) for place in places]
        most_first = sorted(numbers, key=lambda number: -number[1])
        ramps.append(Ramp(one, one.day(today), one.volume(today), most_first))
    return ramps


def place_name(provider: str) -> str:
    """Return what a page calls a pool."""
    return name_of(provider) if provider else "other domains"
