"""What holds a stream to its kind and its domain. Campaigns lie above the streams, so they register themselves here."""

from collections.abc import Callable, Mapping

from mailops.transports.models import Stream

# a stream as it would be → field → why that must not become so, and what to do
Ties = Callable[[Stream], Mapping[str, str]]

_sources: list[Ties] = []


def register_ties(source: Ties) -> None:
    _sources[:] = [source]


def ties_of(stream: Stream, old: Stream) -> dict[str, str]:
    """Return what must stay as it is in `old`: the field, why, and what to do. What was so before is left alone."""
    told = [tie for source in _sources for tie in source(stream).items()]
    return {name: why for name, why in told if getattr(stream, name) != getattr(old, name)}
