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
    "presses",
    "sinks",
    "peers",
    "providers",
    "machines",
    "people",
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


FAULTS: dict[str, Fault] = {}


def fault(about: str, *, short: Extent, long: Extent) -> Callable[[Play], Play]:
    """Put a function on the list; its name is the fault's."""

    def enlist(play: Play) -> Play:
        name = play.__name__
        FAULTS[name] = Fault(name, about, play, short, long)
        return play

    return enlist


def load() -> dict[str, Fault]:
    for module in MODULES:
        import_module(f"{__name__}.{module}")
    return FAULTS
