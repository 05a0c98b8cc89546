"""What DNS said to one question, with silence, failure and absence told apart."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol


class Status(Enum):
    FOUND = "found"  # records of the wanted type
    NODATA = "nodata"  # the name is there, the type is not
    NXDOMAIN = "nxdomain"  # no such name
    TIMEOUT = "timeout"  # nobody answered: nothing is known
    SERVFAIL = "servfail"  # a server answered that it can't tell: nothing is known
    REFUSED = "refused"  # a server won't answer us: nothing is known


KNOWN = frozenset({Status.FOUND, Status.NODATA, Status.NXDOMAIN})  # DNS has told


@dataclass(frozen=True)
class Answer:
    """What DNS said to one question; `values` are in presentation form, without a trailing dot."""

    status: Status
    values: tuple[str, ...] = ()
    detail: str = ""  # the technical text
    # for each value the strings that its TXT record is made of
    pieces: tuple[int, ...] = field(default=(), compare=False)

    @property
    def is_found(self) -> bool:
        return self.status is Status.FOUND

    @property
    def is_known(self) -> bool:
        """Tell whether DNS answered at all; if not, nothing may be concluded from it."""
        return self.status in KNOWN


class Asks(Protocol):
    """Whatever answers a question of a name and a record type."""

    def __call__(self, name: str, rdtype: str) -> Answer: ...
