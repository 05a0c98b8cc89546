"""Says how long a stream takes for a number of messages, and whether it waits for as long."""

from dataclasses import dataclass

from mailops.dispatch.standing import sessions_of
from mailops.transports.durations import show_duration
from mailops.transports.models import Stream

_DAY, _HOUR = 86_400, 3600


@dataclass(frozen=True)
class LaunchPace:
    """What sets the pace of a launch, and how many seconds it takes at least; 0: no limit tells."""

    words: str
    seconds: int = 0


def pace_of(stream: Stream, messages: int) -> LaunchPace:
    """Return the limit that sets the pace of `messages`, and how long they take at least."""
    transport = stream.transport
    limits = {
        f"the stream {stream}": stream.rate_per_minute,
        f"the transport {transport}": transport.rate_per_minute if transport else None,
    }
    if transport and transport.daily_quota and messages > transport.daily_quota:
        days = -(-messages // transport.daily_quota)
        return LaunchPace(
            f"At most {transport.daily_quota:,} a day, by the transport {transport}: {days} days at least.",
            (days - 1) * _DAY,  # the first of them may be short
        )
    known = {name: rate for name, rate in limits.items() if rate}
    if not known or not messages:
        return LaunchPace(_unlimited(stream))
    name = min(known, key=lambda key: known[key])
    minutes = -(-messages // known[name])
    hours, rest = divmod(minutes, 60)
    lasts = f"{hours} h {rest} min" if hours else f"{minutes} min"
    return LaunchPace(
        f"At most {known[name]:,} a minute, by {name}: at least {lasts}.", minutes * 60
    )


def _unlimited(stream: Stream) -> str:
    if (transport := stream.transport) is None:
        return "No rate is set."
    sessions = sessions_of(transport, [stream.pk])
    said = f"No rate is set: it goes as quickly as {transport} answers, in {sessions.words}."
    return f"{said} {sessions.why}".strip()


def why_impatient(stream: Stream, pace: LaunchPace) -> str:
    """Say that the stream gives up before all had their turn, surely or perhaps; nothing where it waits for long."""
    said = (
        f"The stream {stream} gives up {show_duration(stream.expiry_seconds)} after a mail is due"
    )
    if pace.seconds > stream.expiry_seconds:
        return f"{said}, and this takes longer: the last ones will be given up before their turn."
    if stream.expiry_seconds < _HOUR:
        return f"{said}: a slow server or a busy machine is enough for the last ones to be given up before their turn."
    return ""
