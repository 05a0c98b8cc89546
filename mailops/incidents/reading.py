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
    stopped_at: datetime | None = None  # of what stands still until somebody lets it go on

    @property
    def facts(self) -> dict[str, str]:
        """What an incident keeps of it, where it is no rate's."""
        stopped_at = self.stopped_at.isoformat() if self.stopped_at else ""
        return {"technical": self.technical, "to_do": self.to_do, "stopped_at": stopped_at}
