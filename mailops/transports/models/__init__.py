"""How mail leaves: credentials, transports, streams."""

from mailops.transports.models.credential import Credential
from mailops.transports.models.hours import DAYS, KeepsHours, hours_are_whole
from mailops.transports.models.limits import PROVIDER_DEFAULT, ProviderLimit, WarmUp
from mailops.transports.models.oauth import OAuthGrant
from mailops.transports.models.pausing import (
    PAUSING,
    PauseCause,
    PausedAnew,
    RunState,
    TellsPause,
)
from mailops.transports.models.stream import PATIENCE, RESERVED, Patience, Route, Stream
from mailops.transports.models.transport import Transport

__all__ = [
    "DAYS",
    "PATIENCE",
    "PAUSING",
    "PROVIDER_DEFAULT",
    "RESERVED",
    "Credential",
    "KeepsHours",
    "OAuthGrant",
    "Patience",
    "PauseCause",
    "PausedAnew",
    "ProviderLimit",
    "Route",
    "RunState",
    "Stream",
    "TellsPause",
    "Transport",
    "WarmUp",
    "hours_are_whole",
]
