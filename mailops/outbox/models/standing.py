"""Where a message stands, what is known of it, and what may happen to it."""

from django.db import models


class Status(models.TextChoices):
    QUEUED = "queued", "Queued"  # owed, may leave when due
    DEFERRED = "deferred", "Deferred"  # refused for now, will be tried again
    HELD = "held", "Held"  # a person must release it
    ACCEPTED = "accepted", "Accepted"  # the next hop took it
    DELIVERED = "delivered", "Delivered"  # the final server confirmed it
    BOUNCED = "bounced", "Bounced"  # refused for good
    FAILED = "failed", "Failed"  # we could not make it or were not allowed to send it
    SUPPRESSED = "suppressed", "Suppressed"  # the address must not be written to
    EXPIRED = "expired", "Expired"  # gave up after the stream's patience
    CANCELED = "canceled", "Canceled"  # a person stopped it
    UNCERTAIN = "uncertain", "Uncertain"  # sent or not, nobody can know


OPEN_STATUSES = frozenset({Status.QUEUED, Status.DEFERRED, Status.HELD})
CLOSED_STATUSES = frozenset(Status) - OPEN_STATUSES


class Evidence(models.IntegerChoices):
    """The strongest thing known of a message in its round (W2); the fold takes the maximum."""

    NONE = 0, "none"
    REFUSED = 1, "refused in session"
    ACCEPTED = 2, "accepted"
    DELIVERED = 3, "delivered"
    RETURNED = 4, "returned"  # an out-of-band bounce


class EventKind(models.TextChoices):
    ACCEPTED = "accepted", "Accepted"  # 2yz to the final dot, or the provider took it
    DEFERRED = "deferred", "Deferred"  # 4yz, or its session attempts were spent
    BOUNCED = "bounced", "Bounced"  # 5yz in session, the recipient's or message's fault
    RETURNED = "returned", "Bounced later"  # an out-of-band bounce: DSN or webhook
    FAILED = "failed", "Failed"  # ours: render, size, policy
    SUPPRESSED = "suppressed", "Suppressed"
    EXPIRED = "expired", "Expired"
    CANCELED = "canceled", "Canceled"
    UNCERTAIN = "uncertain", "Uncertain"  # no reply after the mark
    HELD = "held", "Held"
    RELEASED = "released", "Released"  # by a person, from held
    REQUEUED = "requeued", "Sent again"  # a new round: a person's retry, or the guarantee `resend`
    DELIVERED = "delivered", "Delivered"
    DELAYED = "delayed", "Delayed"  # a DSN of action delayed, or a webhook's deferral
    COMPLAINED = "complained", "Complained"
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed"
    OPENED = "opened", "Opened"
    CLICKED = "clicked", "Clicked"
    SESSION_LOST = "session_lost", "Session lost"  # spends a session attempt, nothing else
    LATE = "late", "Late reply"  # a reply read after the claim was lost: told, not acted on
    RECLASSIFIED = "reclassified", "Understood anew"  # a person taught what its reply means
    SETTLED = "settled", "Settled"  # a person settled an uncertain message as accepted
