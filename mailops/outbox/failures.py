"""A campaign's failures, grouped by what was answered."""

from dataclasses import dataclass

from mailops.outbox.fold import RETRIABLE
from mailops.outbox.ledger import fetch_dicts
from mailops.outbox.models import Status

MOST = 50


@dataclass(frozen=True)
class FailureGroup:
    status: str
    reason: str
    reply_code: int | None
    reply_enhanced_status: str
    sentence: str
    example: str  # the reply of one of them
    n: int

    @property
    def can_be_retried(self) -> bool:
        return self.status in RETRIABLE

    @property
    def is_doubtful(self) -> bool:
        # a plain hold has no reason; one that asks a person has that of the doubt
        return self.status == Status.UNCERTAIN or (self.status == Status.HELD and bool(self.reason))


def group_failures(campaign_id: int) -> list[FailureGroup]:
    """Return the groups of messages that failed, bounced, expired or are uncertain or deferred, the largest first."""
    rows = fetch_dicts(
        """
        SELECT status, reason, reply_code, reply_enhanced_status, min(sentence) AS sentence,
               min(reply_text) AS example, count(*) AS n
          FROM outbox_message WHERE campaign_id = %s AND status = ANY(%s)
         GROUP BY status, reason, reply_code, reply_enhanced_status
         ORDER BY n DESC, status, reason LIMIT %s
        """,
        [campaign_id, [*(RETRIABLE - {"canceled"}), "deferred", "held"], MOST],
    )
    return [FailureGroup(**row) for row in rows]
