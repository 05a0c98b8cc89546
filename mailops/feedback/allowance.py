"""How much mail the return-path host keeps of anybody within a day: strangers may send any amount, and disks are finite.

Who answers our mail writes to an address that we signed, and each of those has a share of its own; all other mail, such as
reports on domains, has a share for each address that it is sent from, and one for all of it together.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

DAY = 86_400.0
ROW = 1_000  # octets that a mail takes beside its own
# in which shares are counted, so that no number of addresses takes more memory; two in one share it
PLACES = 65_536


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Octets of a day."""

    signed: int  # to one address that we signed
    sender: int  # from one address, to others
    strangers: int  # to others, from all together


class Allowance:
    """What was taken today; it begins anew with the process."""

    def __init__(self, shares: Shares, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shares = shares
        self._clock = clock
        self._begin()

    def take_signed(self, address: str, octets: int) -> bool:
        """Return whether so much may be kept of mail to an address that we signed; then it is counted."""
        self._look_at_clock()
        return self._take({_place("to", address.lower()): self._shares.signed}, octets)

    def take_strange(self, sender: Hashable, octets: int) -> bool:
        """Return whether so much may be kept of other mail from `sender`; then it is counted."""
        self._look_at_clock()
        shares = {_place("from", sender): self._shares.sender, PLACES: self._shares.strangers}
        return self._take(shares, octets)

    def _take(self, shares: dict[int, int], octets: int) -> bool:
        weight = octets + ROW
        if any(self._taken[place] + weight > share for place, share in shares.items()):
            return False
        for place in shares:
            self._taken[place] += weight
        return True

    def _look_at_clock(self) -> None:
        if self._clock() >= self._until:
            self._begin()

    def _begin(self) -> None:
        self._until = self._clock() + DAY
        self._taken = [0] * (PLACES + 1)  # the last one is for all strangers


def _place(*whose: Hashable) -> int:
    return hash(whose) % PLACES
