"""What a look at a threshold finds."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailops.incidents.measuring import Rate
from mailops.incidents.models import Level


@dataclass(frozen=True)
class Reading:
    """What a threshold says of one subject that is in trouble."""

    subject: Any
    level: Level
    sentence: str
    since: datetime
    rate: Rate | None = None
    technical: str = ""
    to_do: str = ""  # for this one; else what its threshold says of all
