"""What holds a stream to its kind and its domain. Who sends through streams lies above them, and registers itself here."""

from collections.abc import Callable, Mapping

from mailops.domains.models import Identity
from mailops.transports.models import Stream

# a stream as it would be → field → why that must not become so, and what to do
Ties = Callable[[Stream], Mapping[str, str]]

_sources: list[Ties] = []


def register_ties(source: Ties) -> None:
    """Add a source of what holds streams as they are."""
    _sources.append(source)


def ties_of(stream: Stream, old: Stream) -> dict[str, list[str]]:
    """Return what must stay as it is in `old`: the field, why, and what to do. What was so before is left alone."""
    told: dict[str, list[str]] = {}
    for source in _sources:
        for name, why in source(stream).items():
            if getattr(stream, name) != getattr(old, name):
                told.setdefault(name, []).append(why)
    return told


def foreign_sender(stream: Stream, identity: Identity) -> str:
    """Say why mail of `identity` can't leave through `stream`, and what to do, or nothing."""
    if identity.domain_id == stream.domain_id:
        return ""
    return (
        f"{identity.addr_spec} is not of this stream's domain. Choose a sender at {stream.domain}."
    )
