"""The ledger: messages owed and what became of them."""

from mailops.lib.chunked_work import ChunkedWork
from mailops.outbox.models.event import IMPLIED_BY, TOLD_BEFORE, Event
from mailops.outbox.models.message import (
    ANSWERED_AT,
    ASKS_A_PERSON,
    IS_ANSWERED,
    IS_ASKED,
    Message,
    QueueEntry,
)
from mailops.outbox.models.relay_log import RelayLog, RelayLogFinding, RelayLogMail, RelayLogPiece
from mailops.outbox.models.resending import Resending
from mailops.outbox.models.settlement import Settlement
from mailops.outbox.models.signature import (
    OWNER_OF_FAULT,
    Sighting,
    SightingKey,
    Signature,
    SignatureCount,
)
from mailops.outbox.models.standing import (
    CLOSED_STATUSES,
    OPEN_STATUSES,
    EventKind,
    Evidence,
    Status,
)
from mailops.outbox.models.tally import CountKey, Tally

__all__ = [
    "ANSWERED_AT",
    "ASKS_A_PERSON",
    "CLOSED_STATUSES",
    "IMPLIED_BY",
    "IS_ANSWERED",
    "IS_ASKED",
    "OPEN_STATUSES",
    "OWNER_OF_FAULT",
    "TOLD_BEFORE",
    "ChunkedWork",
    "CountKey",
    "Event",
    "EventKind",
    "Evidence",
    "Message",
    "QueueEntry",
    "RelayLog",
    "RelayLogFinding",
    "RelayLogMail",
    "RelayLogPiece",
    "Resending",
    "Settlement",
    "Sighting",
    "SightingKey",
    "Signature",
    "SignatureCount",
    "Status",
    "Tally",
]
