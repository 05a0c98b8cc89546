"""Leaves a mailbox alone for a while that is not gone, but has refused one message after another.

It reads what the ledger says, whoever told it: a refusal in session, a report that came back, a message that expired
because its mailbox stayed full.
"""

from datetime import timedelta
from itertools import takewhile

from django.db import transaction
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from mailops.feedback.models import SoftBounceScan
from mailops.outbox.models import Event, EventKind, Message, Status
from mailops.protocol.classification import Fault
from mailops.suppressions.models import Suppression
from mailops.suppressions.suppressing import suppress_all

LIMIT = 3  # messages, one after another
WINDOW = timedelta(days=30)  # since they were made
SUPPRESSED_FOR = timedelta(days=90)  # a full mailbox may be emptied
SETTLED = timedelta(seconds=30)  # events this old have no older ones in a transaction still open
CHUNK = 500  # events in one transaction

_PROOFS = (Status.ACCEPTED, Status.DELIVERED)
_REFUSALS = (EventKind.RETURNED, EventKind.BOUNCED, EventKind.DEFERRED, EventKind.SESSION_LOST)
# Whose fault the last word on a message was; one that expired says nothing of it itself.
_FAULT = Event.objects.filter(kind__in=_REFUSALS, was_applied=True).order_by("-id").values("fault")


@transaction.atomic
def suppress_repeated() -> bool:
    """Read the next events, once each, and suppress the addresses that failed again; tell whether there may be more."""
    SoftBounceScan.objects.get_or_create(pk=1)
    scan = SoftBounceScan.objects.select_for_update(skip_locked=True).filter(pk=1).first()
    if scan is None:
        return False  # another process is at it
    following = Event.objects.filter(pk__gt=scan.event_id).order_by("pk")
    events = following.annotate(is_settled=Q(recorded_at__lt=Now() - SETTLED))
    settled = takewhile(lambda row: row[1], events.values_list("pk", "is_settled")[:CHUNK])
    ids = [pk for pk, _ in settled]
    if not ids:
        return False
    failures = _soft_failures(scan.event_id, ids[-1])
    suppress_all([_entry(one) for one in failures if is_repeated(one.message.address_key)])
    scan.event_id = ids[-1]
    scan.save(update_fields=["event_id"])
    return len(ids) == CHUNK


def _soft_failures(after: int, last: int) -> list[Event]:
    """Return the events by which a message failed, after one and up to another, that speak of its recipient."""
    ended = Event.objects.filter(pk__gt=after, pk__lte=last, was_applied=True)
    refused = ended.filter(kind__in=[EventKind.RETURNED, EventKind.BOUNCED], fault=Fault.RECIPIENT)
    expired = ended.filter(kind=EventKind.EXPIRED).annotate(
        last_fault=Subquery(_FAULT.filter(message=OuterRef("message"))[:1])
    )
    found = [
        *refused.select_related("message"),
        *expired.filter(last_fault=Fault.RECIPIENT).select_related("message"),
    ]
    return list({event.message.address_key: event for event in found}.values())


def is_repeated(address_key: str) -> bool:
    """Tell whether the last LIMIT messages in WINDOW failed by the recipient's fault, with none taken between them.

    What failed by another's fault, or says nothing, counts neither for nor against the mailbox.
    """
    ended = Message.objects.filter(
        address_key=address_key,
        status__in=[*_PROOFS, Status.BOUNCED, Status.EXPIRED],
        created_at__gt=Now() - WINDOW,
    ).annotate(last_fault=Subquery(_FAULT.filter(message=OuterRef("pk"))[:1]))
    telling = ended.filter(Q(status__in=_PROOFS) | Q(last_fault=Fault.RECIPIENT)).order_by("-id")
    statuses = telling.values_list("status", flat=True)[:LIMIT]
    return len(statuses) == LIMIT and not set(_PROOFS) & set(statuses)


def _entry(event: Event) -> Suppression:
    message = event.message
    return Suppression(
        address=message.recipient,
        address_key=message.address_key,
        reason=Suppression.Reason.SOFT_BOUNCES,
        evidence_text=message.reply_line or message.sentence,
        evidence_event_id=event.pk,
        expires_at=timezone.now() + SUPPRESSED_FOR,
    )
