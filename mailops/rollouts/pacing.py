"""Says how long a stream takes for a number of messages, and whether it waits for as long."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import inf

from mailops.dispatch.holding import stopped_ways
from mailops.dispatch.limits import utc_today
from mailops.dispatch.standing import sessions_of
from mailops.dispatch.standing_in import able
from mailops.lib.enumerating import enumerated
from mailops.transports.durations import show_duration
from mailops.transports.models import Stream, Transport, WarmUp

_DAY, _HOUR = 86_400, 3600


@dataclass(frozen=True)
class LaunchPace:
    """What sets the pace of a launch, and how many seconds it takes at least; 0: no limit tells."""

    words: str
    seconds: int = 0
    # to one mailbox provider before the stream gives up, where warm-ups let no more leave; None: all
    most: int | None = None


def pace_of(stream: Stream, messages: int) -> LaunchPace:
    """Return the limit that sets the pace of `messages`, and how long they take at least."""
    ways = _ways_of(stream)
    return _warmed(stream, messages, ways, _pace_of(stream, messages, ways))


def _pace_of(stream: Stream, messages: int, ways: list[Transport]) -> LaunchPace:
    a_day = _together(one.daily_quota for one in ways)
    if a_day and messages > a_day:
        days = -(-messages // a_day)
        return LaunchPace(
            f"At most {a_day:,} a day, by {_named(ways)}: {days} days at least.",
            (days - 1) * _DAY,  # the first of them may be short
        )
    # who has sent its number of a day is stood in for, who is slow is not
    at_once = ways if stream.is_weighted else ways[:1]
    limits = {
        f"the stream {stream}": stream.rate_per_minute,
        _named(at_once): _together(one.rate_per_minute for one in at_once),
    }
    known = {name: rate for name, rate in limits.items() if rate}
    if not known or not messages:
        return LaunchPace(_unlimited(stream, at_once))
    name = min(known, key=lambda key: known[key])
    minutes = -(-messages // known[name])
    hours, rest = divmod(minutes, 60)
    lasts = f"{hours} h {rest} min" if hours else f"{minutes} min"
    return LaunchPace(
        f"At most {known[name]:,} a minute, by {name}: at least {lasts}.", minutes * 60
    )


def _warmed(stream: Stream, messages: int, ways: list[Transport], pace: LaunchPace) -> LaunchPace:
    """Add what warm-ups let through to a pace."""
    today = utc_today()
    ramps = {
        way: [one for one in way.warm_ups.order_by("-mailbox_provider") if one.volume(today)]
        for way in ways
    }
    reached = _reached(stream, ramps)
    warming = [way for way in reached if ramps[way]]
    if not warming:
        return pace
    words = [
        f"{way} is warming up: today it sends at most {enumerated(f'{one.volume(today):,} to {_whom(one)}' for one in ramps[way])}, "
        "and more each day."
        for way in warming
    ]
    if others := [way for way in reached if not ramps[way]]:
        words.append(f"What is over goes through {_named(others)}.")
    numbers = [
        min((_until_expiry(stream, one, today) for one in ramps[way]), default=inf)
        for way in reached
    ]
    most = sum(numbers)
    return replace(
        pace,
        words=" ".join([pace.words, *words]),
        most=int(most) if messages > most else None,
    )


def _whom(ramp: WarmUp) -> str:
    if ramp.mailbox_provider:
        return str(ramp)
    return "each other mailbox provider" if ramp.has_others else "each mailbox provider"


def _reached(stream: Stream, ramps: dict[Transport, list[WarmUp]]) -> list[Transport]:
    """Return the transports that mail comes to: in order none behind one that has no number of a day."""
    if stream.is_weighted:
        return [*ramps]
    reached = []
    for way, some in ramps.items():
        reached.append(way)
        if not some and not way.daily_quota:
            break
    return reached


def _until_expiry(stream: Stream, ramp: WarmUp, today: date) -> float:
    """Return how many a ramp lets leave to one mailbox provider before a stream gives up what is due now."""
    days = range(stream.expiry_seconds // _DAY + 1)  # today, and one from each midnight on
    volumes = [ramp.volume(today + timedelta(days=day)) for day in days]
    return sum(inf if volume is None else volume for volume in volumes)


def _ways_of(stream: Stream) -> list[Transport]:
    """Return the transports that may carry its mail, in their order."""
    allowed = able(stream)
    return [
        route.transport
        for route in stream.routes.select_related("transport", "stream").order_by("position")
        if not route.is_foreign and (route.position == 0 or route.transport_id in allowed)
    ]


def _together(numbers: Iterable[int | None]) -> int | None:
    """Return the sum; None where one of them is without limit."""
    known = list(numbers)
    return sum(filter(None, known)) if all(known) else None


def _named(transports: list[Transport]) -> str:
    names = " and ".join(str(one) for one in transports)
    return f"the transport{'s' if len(transports) > 1 else ''} {names}"


def _unlimited(stream: Stream, transports: list[Transport]) -> str:
    if not transports:
        return "No rate is set."
    if len(transports) > 1:
        return f"No rate is set for all: it goes as quickly as {_named(transports)} answer."
    sessions = sessions_of(transports[0], [stream.pk])
    said = f"No rate is set: it goes as quickly as {transports[0]} answers, in {sessions.words}."
    return f"{said} {sessions.why}".strip()


def why_still(stream: Stream) -> str:
    """Say that nothing of the stream leaves now, since it or its ways out stand still; nothing where mail leaves."""
    if stream.is_paused:
        return "It is paused: nothing leaves until it is resumed."
    still = [
        f"{one} is paused" if one.is_paused else f"{one} can't be reached"
        for one in stopped_ways(stream)
    ]
    if not still:
        return ""
    again = "one of them sends" if len(still) > 1 else "it sends"
    return f"{enumerated(still)}: nothing leaves until {again} again."


def why_impatient(stream: Stream, pace: LaunchPace) -> str:
    """Say that the stream gives up before all had their turn, surely or perhaps; nothing where it waits for long."""
    said = (
        f"The stream {stream} gives up {show_duration(stream.expiry_seconds)} after a mail is due"
    )
    if pace.seconds > stream.expiry_seconds:
        return f"{said}, and this takes longer: the last ones will be given up before their turn."
    if pace.most is not None:
        return (
            f"{said}, and the warm-up lets {pace.most:,} to one mailbox provider leave by then: of more to the same one, "
            "the last may be given up before their turn."
        )
    if stream.expiry_seconds < _HOUR:
        return f"{said}: a slow server or a busy machine is enough for the last ones to be given up before their turn."
    return ""
