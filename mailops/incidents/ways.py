"""Whether what tells people by mail would leave now."""

from mailops.dispatch.holding import stopped_ways
from mailops.transports.models import Stream


def standstill(stream: Stream) -> str:
    """Return what keeps all mail of `stream` from leaving now, as the beginning of a sentence, or nothing."""
    if stream.transport is None:
        return f"{stream} has no transport"
    if stream.is_paused:
        return f"{stream} is paused"
    for way in stopped_ways(stream):
        how = "is paused" if way.is_paused else "can't be reached"
        return f"{way} {how}"
    return ""
