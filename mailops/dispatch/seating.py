"""Learns how many sessions this process may have: of its lanes, and for providers whose sessions are limited."""

import time
from collections.abc import Collection, Iterable

from mailops.dispatch.claiming import Claimer
from mailops.dispatch.lanes import Lane
from mailops.dispatch.seats import SeatKeeper
from mailops.dispatch.talks import Talks

MESSAGES_FOR_ANOTHER_SESSION = 5
SEATLESS_SECONDS = 1.0  # claims that no session of this process may take go back after this
PROBE_SECONDS = 3.0  # the message that probes a transport goes back if no session took it by then


class Seating:
    """Asks for the seats of one worker's sessions; those of lanes that closed, and still talk, are among them."""

    def __init__(self, keeper: SeatKeeper, claimer: Claimer, talks: Talks) -> None:
        self._keeper, self._claimer, self._talks = keeper, claimer, talks

    def has_seat(self, lane: Lane, closed: Collection[Lane]) -> bool:
        """Tell whether a session of this process may take what is claimed; without a seat, ask for one if there is work."""
        if not lane.seats:
            lane.waits_for_seat = self._claimer.has_due(lane.carrier)
            if lane.waits_for_seat:
                self._ask_for(lane, closed)
        lane.waits_for_seat &= not lane.seats
        return bool(lane.seats)

    def ask(self, lanes: Collection[Lane], closed: Collection[Lane]) -> None:
        """Ask for the sessions of the transports of `lanes`, and for the providers that are, or will be, spoken of."""
        for lane in lanes:
            if not lane.is_closing:
                self._ask_for(lane, closed)
        sessions = sum(lane.live_sessions for lane in [*lanes, *closed])
        sessions += sum(lane.seats for lane in lanes)
        talked_of = self._talks.providers() | {
            job.mailbox_provider for lane in lanes for job in list(lane.jobs)
        }
        self._talks.seats = {
            provider: self._keeper.seats(
                f"p:{provider}",
                held=self._talks.held(provider),
                wanted=min(sessions, limit),
                most=limit,
            )
            for provider in talked_of | set(self._talks.seats)
            if (limit := self._talks.limit_of(provider).sessions) is not None
        }

    def _ask_for(self, lane: Lane, closed: Collection[Lane]) -> None:
        carrier, rules = lane.carrier, self._claimer.rules(lane.carrier)
        old = sum(one.live_sessions for one in closed if one.transport.pk == carrier.transport_id)
        live = lane.live_sessions + old
        # While the breaker is not closed, one session over all workers probes whether the transport works again.
        most = min(1 + old, rules.max_sessions) if carrier.is_probed else rules.max_sessions
        most -= rules.seats_reserved_from(carrier.stream_ids, most)
        jobs = max(len(lane.jobs), lane.waits_for_seat)
        wanted = min(most, max(live, old - (-jobs // MESSAGES_FOR_ANOTHER_SESSION)))
        talking = talking_of(carrier.transport_id, (lane, *closed))
        seats = self._keeper.seats(
            f"t{carrier.transport_id}", held=live, wanted=wanted, most=most, talking=talking
        )
        lane.seats = max(0, seats - old)

    def leave(self, lanes: Collection[Lane]) -> None:
        """Give all seats back but those that sessions have."""
        self._keeper.forget()
        for lane in lanes:
            lane.seats = min(lane.seats, len(lane.sessions))


def sessions_lacking(lane: Lane) -> int:
    """Return how many sessions more there is work for; negative where there are too many."""
    live, ready = lane.live_sessions, lane.ready
    useful = min(lane.seats, ready // MESSAGES_FOR_ANOTHER_SESSION + 1) if ready else 0
    if useful > live and (most := lane.most_sessions) is not None:
        useful = min(useful, most)  # one at rest may talk again: it needs no other beside it
    return useful - live


def waits_in_vain(lane: Lane) -> bool:
    """Tell whether no session takes what was claimed: another process has the seats, or another transport stands in."""
    now = time.monotonic()
    if lane.seats:
        lane.seated_at = now
    is_seatless = now - lane.seated_at > SEATLESS_SECONDS
    is_mute = lane.carrier.is_probed and now - lane.fed_at > PROBE_SECONDS
    return bool(lane.jobs) and (is_seatless or is_mute)


def talking_of(transport_id: int, lanes: Iterable[Lane]) -> int:
    """Return how many sessions of a transport could be opened, and live."""
    return sum(len(lane.talking) for lane in lanes if lane.transport.pk == transport_id)
