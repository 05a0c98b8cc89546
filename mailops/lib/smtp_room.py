"""How much the sessions of an SMTP server may take: all of them together, and those of one address."""

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of one server; octets are those of mail that is being taken and not answered yet."""

    sessions: int
    sessions_each: int
    octets: int
    octets_each: int


class Room:
    """The sessions that are open, and what they hold."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sessions: dict[Any, Hashable] = {}
        self._sessions_of: Counter[Hashable] = Counter()
        self._octets_of: Counter[Hashable] = Counter()

    def __contains__(self, session: object) -> bool:
        return session in self._sessions

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._sessions))

    def enter(self, session: Any, peer: object) -> bool:
        """Return whether a session of this peer (a socket's name) may begin; then it is counted."""
        owner, limits = whose(peer), self._limits
        if (
            len(self._sessions) >= limits.sessions
            or self._sessions_of[owner] >= limits.sessions_each
        ):
            return False
        self._sessions[session] = owner
        self._sessions_of[owner] += 1
        return True

    def leave(self, session: Any) -> None:
        _take_off(self._sessions_of, self._sessions.pop(session), 1)

    @contextmanager
    def hold(self, session: Any) -> "Iterator[Held]":
        """Count what the session holds, until the end of the block."""
        held = Held(self._octets_of, self._sessions[session], self._limits)
        try:
            yield held
        finally:
            held.release()


class Held:
    """The octets that one session holds."""

    def __init__(self, octets_of: Counter[Hashable], whose: Hashable, limits: Limits) -> None:
        self._octets_of, self._whose, self._limits = octets_of, whose, limits
        self._octets = 0

    def add(self, octets: int) -> bool:
        """Count so many more, and return whether there is room for them."""
        self._octets += octets
        self._octets_of[self._whose] += octets
        return (
            self._octets_of[self._whose] <= self._limits.octets_each
            and self._octets_of.total() <= self._limits.octets
        )

    def release(self) -> None:
        _take_off(self._octets_of, self._whose, self._octets)
        self._octets = 0


def _take_off(counts: Counter[Hashable], whose: Hashable, count: int) -> None:
    counts[whose] -= count
    if not counts[whose]:
        del counts[whose]


def whose(peer: object) -> Hashable:
    """Return who stands behind a socket's name: an IPv4 address, or an IPv6 network, of which anybody has a whole one."""
    host = str(peer[0]).partition("%")[0] if isinstance(peer, tuple) and peer else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return ip_network((address, 64), strict=False) if isinstance(address, IPv6Address) else address
