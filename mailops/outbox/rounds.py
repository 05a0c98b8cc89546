"""What the rounds of messages came to before: what was counted of each, and which attempts nothing has answered."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mailops.outbox.fold import COUNTED_ONCE
from mailops.outbox.ledger import Row, fetch_rows
from mailops.outbox.models import EventKind, Status


class Counted:
    """What messages came to that counts once a round, whoever tells it, as far as it is counted."""

    def __init__(self, message_ids: Sequence[int]) -> None:
        kinds = [str(kind) for kind in COUNTED_ONCE]
        found = fetch_rows(_COUNTED, [message_ids, kinds]) if message_ids else []
        self._known = {(pk, number, COUNTED_ONCE[EventKind(kind)]) for pk, number, kind in found}

    def takes(self, kind: EventKind, row: Row, event_round: int, before: Status) -> bool:
        """Tell whether an event that applies is counted, and note it; what moves its message always is."""
        if kind not in COUNTED_ONCE:
            return True
        came_to = (row.id, event_round, COUNTED_ONCE[kind])
        if came_to in self._known and row.standing.status == before:
            return False
        self._known.add(came_to)
        return True


_COUNTED = """
SELECT message_id, round, kind FROM outbox_event
 WHERE message_id = ANY(%s) AND was_applied AND kind = ANY(%s)
"""


@dataclass(frozen=True)
class Unanswered:
    """An attempt without an answer: its round, when its content went out and which way, as far as that is known."""

    round: int
    at: datetime
    transport_id: int | None = None


def doubts_of(message_ids: Sequence[int]) -> dict[int, list[Unanswered]]:
    """Return the doubts that each message has been in, the first ones first."""
    found: dict[int, list[Unanswered]] = defaultdict(list)
    for message_id, number, at in fetch_rows(_DOUBTS, [message_ids]) if message_ids else []:
        found[message_id].append(Unanswered(number, at))
    return found


# nobody saw when content went out that only a restored database tells of
_DOUBTS = """
SELECT message_id, round,
       CASE WHEN reason = 'restored' THEN occurred_at
            ELSE coalesce((data ->> 'marked_at')::timestamptz, occurred_at) END
  FROM outbox_event
 WHERE message_id = ANY(%s) AND was_applied AND kind = 'uncertain' ORDER BY id
"""


def last_doubt(doubts: Sequence[Unanswered], event_round: int) -> Unanswered | None:
    """Return the last doubt that an event of a round can speak of."""
    return next((one for one in reversed(doubts) if one.round <= event_round), None)
