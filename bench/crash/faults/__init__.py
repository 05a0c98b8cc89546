"""The faults: each a function that arranges, strikes and says what may come of it."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from bench.crash.scene import Scene

MODULES = (
    "killing",
    "database",
    "brokers",
    "clocks",
    "hours",
    "rotation",
    "presses",
    "sinks",
    "peers",
    "providers",
    "machines",
    "people",
    "storms",
    "restoring",  # the last: what follows would stand on an old database
)

Play = Callable[[Scene], None]


@dataclass(frozen=True)
class Extent:
    """How many recipients, and how many blows."""

    recipients: int
    times: int = 1


@dataclass(frozen=True)
class Fault:
    name: str
    about: str
    play: Play
    short: Extent
    long: Extent
    is_quick: bool


FAULTS: dict[str, Fault] = {}


def fault(
    about: str, *, short: Extent, long: Extent, quick: bool = False
) -> Callable[[Play], Play]:
    """Put a function on the list; its name is the fault's. The `quick` ones make up a short run."""

    def enlist(play: Play) -> Play:
        name = play.__name__
        FAULTS[name] = Fault(name, about, play, short, long, quick)
        return play

    return enlist


def load() -> dict[str, Fault]:
    for module in MODULES:
        import_module(f"{__name__}.{module}")
    return FAULTS
