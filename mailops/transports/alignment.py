"""Crosses streams with the transports that may carry them: would their mail pass DMARC, and by which leg."""

from collections.abc import Iterable
from dataclasses import dataclass

from mailops.domains.aligning import alignments_of
from mailops.domains.models import Domain
from mailops.protocol.alignment import Alignment, Leg, Result, change_to_make
from mailops.transports.models import Route, Stream, Transport
from mailops.transports.requirements import way_name


@dataclass(frozen=True)
class Crossing:
    """Mail of one stream through one transport."""

    stream: Stream
    transport: Transport
    is_first: bool  # the others stand by
    alignment: Alignment | None  # None: the domain was not checked for it yet
    change: str

    @property
    def result(self) -> Result:
        return self.alignment.result if self.alignment else Result.UNKNOWN

    @property
    def relaxed(self) -> Result:
        return self._if(is_strict=False)

    @property
    def strict(self) -> Result:
        return self._if(is_strict=True)

    def _if(self, *, is_strict: bool) -> Result:
        return self.alignment.result_if(is_strict=is_strict) if self.alignment else Result.UNKNOWN

    @property
    def by(self) -> str:
        return " and ".join(self.alignment.passes_by) if self.alignment else ""

    @property
    def legs(self) -> tuple[Leg, ...]:
        return self.alignment.legs if self.alignment else ()

    @property
    def has_foreign_envelope(self) -> bool:
        return self.alignment is not None and self.alignment.spf is None

    @property
    def may_be_signed(self) -> bool:
        """Whether a key of ours would make it pass."""
        return self.transport.is_signed_here and "DKIM" not in self.by

    @property
    def is_unsigned(self) -> bool:
        return self.alignment is not None and not self.alignment.dkim


def crossings_of(domain: Domain, streams: Iterable[Stream]) -> list[Crossing]:
    """Return each stream with each of its ways out, in their order."""
    known = alignments_of(domain) if domain.dmarc_facts else {}
    routes = (
        Route.objects.filter(stream__in=streams)
        .select_related("stream", "transport")
        .order_by("stream__name", "position")
    )
    found: list[Crossing] = []
    for route in routes:
        way, alignment = known.get(way_name(route.transport), (None, None))
        change = change_to_make(alignment, signs_here=way.signs_here) if way and alignment else ""
        is_first = not found or found[-1].stream != route.stream
        found.append(Crossing(route.stream, route.transport, is_first, alignment, change))
    return found
