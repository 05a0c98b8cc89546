"""What needs a person, as the overview and the digest tell of it."""

from dataclasses import dataclass
from datetime import datetime

SHOWN = 10  # of each sort, one by one


@dataclass(frozen=True)
class Matter:
    title: str
    sentence: str
    url: str
    action: str
    tone: str = "warn"
    since: datetime | None = None
