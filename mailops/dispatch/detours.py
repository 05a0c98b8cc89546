"""Says why a transport carries mail that is another's, so that the message's timeline can."""

import time
from collections.abc import Mapping, Sequence
from itertools import groupby

from mailops.dispatch.carriers import Carrier
from mailops.dispatch.claiming import Job
from mailops.transports.models import Route, Transport

KNOWN_SECONDS = 5.0
LIMIT = 300  # characters of a reason that an event keeps; the transport's page has all of it

Detour = Mapping[str, str]  # what the event of such a message says besides
_NONE: Mapping[int, Detour] = {}


class Detours:
    """Remembers for a moment why carriers stand in: claims ask ten times a second."""

    def __init__(self) -> None:
        self._known: dict[Carrier, tuple[float, Mapping[int, Detour]]] = {}

    def name(self, carrier: Carrier, jobs: list[Job]) -> list[Job]:
        """Return the jobs, those that take a detour with why; asks nothing where all goes its usual way."""
        if not jobs or not (carrier.stands_in_for or carrier.weights or carrier.is_probed):
            return jobs
        detours = self._lately(carrier)
        if not detours:
            return jobs
        return [job._replace(detour=detours.get(job.stream_id)) for job in jobs]

    def _lately(self, carrier: Carrier) -> Mapping[int, Detour]:
        until, found = self._known.get(carrier, (0.0, _NONE))
        if time.monotonic() > until:
            until, found = time.monotonic() + KNOWN_SECONDS, detours_of(carrier)
            self._known = {carrier: (until, found), **self._young()}
        return found

    def _young(self) -> dict[Carrier, tuple[float, Mapping[int, Detour]]]:
        now = time.monotonic()
        return {carrier: known for carrier, known in self._known.items() if known[0] > now}


def detours_of(carrier: Carrier) -> dict[int, Detour]:
    """Return stream → what is unusual about the way of its mail through `carrier`, of those where something is."""
    routes = Route.objects.filter(stream__in=carrier.stream_ids).select_related(
        "transport", "stream"
    )
    ordered = routes.order_by("stream_id", "position")
    found: dict[int, Detour] = {}
    for stream_id, some in groupby(ordered, key=lambda route: route.stream_id):
        detour = _detour(carrier, stream_id, list(some))
        if detour:
            found[stream_id] = detour
    return found


def _detour(carrier: Carrier, stream_id: int, routes: list[Route]) -> dict[str, str]:
    own = [route for route in routes if route.transport_id == carrier.transport_id]
    if not own:  # it was taken away a moment ago
        return {}
    weights = dict(carrier.weights).get(stream_id)
    if weights is not None:
        taking_part = {one for one, _ in weights} | {carrier.transport_id}
        out = [route for route in routes if route.transport_id not in taking_part]
        reasons = [why for route in out if (why := _stands_still(route))]
    elif stream_id in carrier.stands_in_for:
        spent = dict(carrier.before).get(stream_id, ())
        before = [route for route in routes if route.position < own[0].position]
        reasons = [_stands_still(route) or _was_passed_by(route, spent) for route in before]
    else:
        reasons = []
    detour = {"stood_in": _join(reasons)} if reasons else {}
    if carrier.is_probed:
        detour["probed"] = own[0].transport.breaker_sentence[:LIMIT]
    return detour


def _stands_still(route: Route) -> str:
    """Say why nothing leaves by `route` now; empty where something may."""
    transport = route.transport
    if route.is_foreign:
        return f"{transport} is of another environment"
    if transport.is_paused:
        return _told(f"{transport} was paused", transport.pause_sentence)
    if transport.breaker != Transport.Breaker.CLOSED:
        return _told(f"the breaker of {transport} was open", transport.breaker_sentence)
    return ""


def _was_passed_by(route: Route, spent: Sequence[int]) -> str:
    if route.transport_id in spent:
        return f"{route.transport} had sent its number of the day"
    return f"{route.transport} stood still a moment before"


def _told(what: str, sentence: str) -> str:
    return f"{what}: {sentence}"[:LIMIT] if sentence else what


def _join(reasons: list[str]) -> str:
    """Return the reasons as the end of a sentence."""
    return "; and ".join(reason.rstrip(". ") for reason in reasons) + "."
