"""How much mail the return-path host keeps of anybody within a day: strangers may send any amount, and disks are finite.

Who answers our mail writes to an address that we signed, and each of those has a share of its own; all other mail, such as
reports on domains, has a share for each address that it is sent from, and one for all of it together.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from mailops.lib.daily_counts import DailyCounts

ROW = 1_000  # octets that a mail takes beside its own


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Octets of a day."""

    signed: int  # to one address that we signed
    sender: int  # from one address, to others
    strangers: int  # to others, from all together


class Allowance:
    """What was taken today."""

    def __init__(self, shares: Shares, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shares = shares
        self._signed, self._senders = DailyCounts(clock=clock), DailyCounts(clock=clock)
        self._strangers = DailyCounts(places=1, clock=clock)

    def take_signed(self, address: str, octets: int) -> bool:
        """Return whether so much may be kept of mail to an address that we signed; then it is counted."""
        return _take([(self._signed, address.lower(), self._shares.signed)], octets + ROW)

    def take_strange(self, sender: Hashable, octets: int) -> bool:
        """Return whether so much may be kept of other mail from `sender`; then it is counted."""
        asked = [
            (self._senders, sender, self._shares.sender),
            (self._strangers, None, self._shares.strangers),
        ]
        return _take(asked, octets + ROW)


def _take(asked: list[tuple[DailyCounts, Hashable, int]], weight: int) -> bool:
    if any(counts.of(whose) + weight > share for counts, whose, share in asked):
        return False
    for counts, whose, _ in asked:
        counts.add(whose, weight)
    return True
