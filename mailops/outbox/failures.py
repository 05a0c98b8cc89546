"""A campaign's failures, grouped by what was answered."""

from dataclasses import dataclass
from urllib.parse import urlencode

from mailops.lib.whole_numbers import LARGEST_ID
from mailops.outbox.fold import RETRIABLE
from mailops.outbox.ledger import fetch_dicts
from mailops.outbox.models import Status
from mailops.outbox.searching import NO_REASON, NO_REPLY

MOST = 50
GROUPED = 10_000  # messages of a status, so that a page which is asked again and again costs the same with a million


@dataclass(frozen=True)
class FailureGroup:
    status: str
    reason: str
    is_doubtful: bool
    reply_code: int | None
    reply_enhanced_status: str
    sentence: str
    example: str  # the reply of one of them
    n: int
    is_part: bool  # counted among the newest GROUPED of its status, since there are as many or more

    @property
    def query(self) -> str:
        """The message list's filter that stands for this group, within its campaign."""
        chosen = {"status": self.status, "reason": self.reason or NO_REASON}
        return urlencode(chosen if self.is_doubtful else chosen | {"reply": self._reply})

    @property
    def _reply(self) -> str:
        code = "" if self.reply_code is None else f"{self.reply_code:03}"
        return f"{code} {self.reply_enhanced_status}".strip() or NO_REPLY

    @property
    def doubts(self) -> str:
        """The filter of uncertain messages that stands for this group, within its campaign."""
        kind = "ask" if self.status == Status.HELD else "rest"
        return urlencode({"kind": kind, "reason": self.reason or NO_REASON})

    @property
    def can_be_retried(self) -> bool:
        return self.status in RETRIABLE


def group_failures(campaign_id: int) -> list[FailureGroup]:
    """Return the groups of messages that failed, bounced, expired or are uncertain or deferred, the largest first.

    Of each status the newest GROUPED are looked at. What is in doubt got no answer, so it is grouped by its reason alone.
    """
    # in the order of the one index that finds them (`listing._ids` says why)
    rows = fetch_dicts(
        """
        SELECT status, reason, is_doubtful, CASE WHEN NOT is_doubtful THEN reply_code END AS reply_code,
               CASE WHEN is_doubtful THEN '' ELSE reply_enhanced_status END AS reply_enhanced_status,
               min(sentence) AS sentence, min(reply_text) AS example, count(*) AS n,
               sum(count(*)) OVER (PARTITION BY status) >= %(grouped)s AS is_part
          FROM unnest(%(statuses)s::text[]) AS s (name) CROSS JOIN LATERAL (
               SELECT status, reason, reply_code, reply_enhanced_status, sentence, reply_text,
                      status = 'uncertain' OR (status = 'held' AND settling_fence IS NOT NULL) AS is_doubtful
                 FROM outbox_message
                WHERE (campaign_id, status) >= (%(campaign)s, s.name)
                  AND (campaign_id, status, id) <= (%(campaign)s, s.name, %(last)s)
                ORDER BY campaign_id DESC, status DESC, id DESC LIMIT %(grouped)s) newest
         GROUP BY 1, 2, 3, 4, 5
         ORDER BY n DESC, status, reason LIMIT %(most)s
        """,
        {
            "campaign": campaign_id,
            "statuses": [*(RETRIABLE - {"canceled"}), "deferred", "held"],
            "last": LARGEST_ID,
            "grouped": GROUPED,
            "most": MOST,
        },
    )
    return [FailureGroup(**row) for row in rows]
