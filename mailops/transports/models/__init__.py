"""How mail leaves: credentials, transports, streams."""

from mailops.transports.models.hours import DAYS, KeepsHours, hours_are_whole
from mailops.transports.models.pausing import PauseCause, RunState
from mailops.transports.models.stream import PATIENCE, Patience, Route, Stream
from mailops.transports.models.transport import Credential, Transport

__all__ = [
    "DAYS",
    "PATIENCE",
    "Credential",
    "KeepsHours",
    "Patience",
    "PauseCause",
    "Route",
    "RunState",
    "Stream",
    "Transport",
    "hours_are_whole",
]
