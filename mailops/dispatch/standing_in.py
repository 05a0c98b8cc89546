"""Lets a transport stand in for another only where the stream's From passes DMARC through it, as far as is known."""

import time
from collections.abc import Iterable

from mailops.protocol.alignment import Result
from mailops.transports.alignment import crossings_of
from mailops.transports.models import Stream

KNOWN_SECONDS = 30.0  # claims ask ten times a second
_known: dict[int, tuple[float, frozenset[int]]] = {}  # stream → until when, its able transports


def unable(transport_id: int, stream_ids: Iterable[int]) -> set[int]:
    """Return those of these streams for which a transport must not stand in."""
    return {pk for pk in stream_ids if transport_id not in _able_lately(pk)}


def able(stream: Stream) -> frozenset[int]:
    """Return the later transports of a stream that may carry its mail: those through which it is known to pass DMARC.

    Where that is known of no route, since the domain was not checked, each may.
    """
    crossings = crossings_of(stream.domain, [stream])
    passes_first = bool(crossings) and crossings[0].result is Result.PASS
    return frozenset(
        one.transport.pk
        for one in crossings[1:]
        if one.result is Result.PASS or (one.result is Result.UNKNOWN and not passes_first)
    )


def _able_lately(stream_id: int) -> frozenset[int]:
    until, found = _known.get(stream_id, (0.0, frozenset()))
    if time.monotonic() > until:
        stream = Stream.objects.select_related("domain").filter(pk=stream_id).first()
        found = able(stream) if stream is not None else frozenset()
        _known[stream_id] = (time.monotonic() + KNOWN_SECONDS, found)
    return found
