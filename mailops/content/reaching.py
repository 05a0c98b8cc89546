"""Asks whether the pages that a mail links to are there, through the one door to other machines."""

from collections.abc import Iterator, Sequence

from mailops.content.gates.finding import Problem, found
from mailops.lib.egress import EgressFault
from mailops.lib.fetching import fetch

MAX_LINKS = 40
SECONDS = 5.0  # for each
_NOT_THERE = frozenset({404, 410})


def dead_links(addresses: Sequence[str], *, source: str = "") -> Iterator[Problem]:
    """Yield a problem for each of the first addresses that leads nowhere; private hosts are never asked."""
    for address in addresses[:MAX_LINKS]:
        if reason := _why_dead(address):
            at = source.find(address)
            line = source.count("\n", 0, at) + 1 if at >= 0 else None
            yield found("links.dead", f"{address[:80]}: {reason}.", line=line)


def _why_dead(address: str) -> str:
    try:
        answer = fetch(address, method="HEAD", seconds=SECONDS)
    except EgressFault as fault:
        return fault.detail
    if answer.status in _NOT_THERE or answer.status >= 500:
        return f"it answers {answer.status}"
    return ""
