"""Has fewer sessions where a server turns some away while others talk, and more again by and by.

What a server takes at once is often less than a transport may have, and said nowhere. Whoever is turned away is one too many.
That is no fault of the transport, whose other sessions go on.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q, Sum
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.dispatch.models import Crowding, Seat
from mailops.lib.storable import storable
from mailops.transports.models import Transport

HOLD_SECONDS = (
    2.0  # without another session of a process: longer than it goes by old rules and seats
)
FRESH = timedelta(seconds=3)  # of what other workers said of their sessions
STEP = timedelta(minutes=1)  # from one raise to the next


@transaction.atomic
def have_fewer_sessions(
    transport_id: int, *, turned_away: int, talking: int, worker_id: int, detail: str
) -> bool:
    """Lower a transport's sessions by those `turned_away`, never below those that talk, of which `talking` are the worker's own.

    Return False where none talks, of no worker: then it is not for their number that the server turns them away. Raise
    Transport.DoesNotExist.
    """
    most = Transport.objects.select_for_update(no_key=True).get(pk=transport_id).max_sessions
    talking += _talking_elsewhere(transport_id, worker_id)
    if not talking:
        return False
    row = Crowding.objects.filter(transport_id=transport_id).first()
    before = min(row.sessions, most) if row else most
    sessions = max(before - turned_away, min(talking, most))
    Crowding.objects.update_or_create(
        transport_id=transport_id,
        defaults={"sessions": sessions, "detail": storable(detail)[:2000], "changed_at": Now()},
    )
    if row is None:
        audit(
            actor=None,
            verb="transport.fewer_sessions",
            subject=Transport.objects.get(pk=transport_id),
            reason=f"The server takes {sessions:,} at a time, and turned others away.",
        )
    return True


def _talking_elsewhere(transport_id: int, worker_id: int) -> int:
    others = Seat.objects.filter(
        key=f"t{transport_id}",
        renewed_at__gt=Now() - FRESH,
        worker__dead_at=None,
        worker__stopped_at=None,
    ).exclude(worker_id=worker_id)
    return int(others.aggregate(n=Sum("talking"))["n"] or 0)


def forget_crowding(transport_id: int) -> None:
    """Forget what a server took before it was out of reach: it may be another one now."""
    Crowding.objects.filter(transport_id=transport_id).delete()


def raise_sessions() -> None:
    """Have a quarter more sessions where nobody was turned away for a while; what was had in full for as long is over."""
    kept_still = ~Q(changed_at__range=(Now() - STEP, Now()))
    for row in Crowding.objects.filter(kept_still).select_related("transport"):
        if row.sessions >= row.transport.max_sessions:
            end_crowding(row, actor=None)
        else:
            more = min(row.sessions + max(1, row.sessions // 4), row.transport.max_sessions)
            Crowding.objects.filter(pk=row.pk, changed_at=row.changed_at).update(
                sessions=more, changed_at=Now()
            )


@transaction.atomic
def end_crowding(row: Crowding, *, actor: User | None) -> None:
    """Have all sessions that the transport may have again."""
    if Crowding.objects.filter(pk=row.pk, changed_at=row.changed_at).delete()[0]:
        audit(
            actor=actor,
            verb="transport.all_sessions",
            subject=row.transport,
            reason="The server takes them all." if actor is None else "",
        )
