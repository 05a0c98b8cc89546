"""Says how long a stream takes for a number of messages."""

from mailops.transports.models import Stream


def pace_of(stream: Stream, messages: int) -> str:
    """Return a sentence on the limit that sets the pace of `messages`, and how long they take at least."""
    transport = stream.transport
    limits = {
        f"the stream {stream}": stream.rate_per_minute,
        f"the transport {transport}": transport.rate_per_minute if transport else None,
    }
    if transport and transport.daily_quota and messages > transport.daily_quota:
        days = -(-messages // transport.daily_quota)
        return f"At most {transport.daily_quota:,} a day, by the transport {transport}: {days} days at least."
    known = {name: rate for name, rate in limits.items() if rate}
    if not known or not messages:
        return "No limit is set: it goes as quickly as the next hop takes it."
    name = min(known, key=lambda key: known[key])
    minutes = -(-messages // known[name])
    hours, rest = divmod(minutes, 60)
    lasts = f"{hours} h {rest} min" if hours else f"{minutes} min"
    return f"At most {known[name]:,} a minute, by {name}: at least {lasts}."
