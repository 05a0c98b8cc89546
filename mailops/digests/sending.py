"""Makes each person's digest when it is due, and sends it once: queued in the transaction that says so."""

from datetime import date, datetime, timedelta
from time import monotonic
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.accounts.permissions import Act, may
from mailops.content.rendering import RenderError
from mailops.digests.letter import as_data
from mailops.digests.models import Digest, Subscription
from mailops.digests.telling import tell
from mailops.digests.template import current_version
from mailops.digests.way import NoWay, usable_way
from mailops.digests.weeks import last_due, last_whole_week, week_before, week_of
from mailops.lib.clock import database_now
from mailops.lib.locks import advisory_lock
from mailops.lib.time_zones import zone as zone_of
from mailops.outbox.models import Message
from mailops.outbox.submission import RefusedSubmission, submit
from mailops.outbox.tokens import LEAVING_PAGE

BUDGET_SECONDS = 30.0  # of one tick; the next comes in a minute
LATE = timedelta(days=2)  # a digest of Monday that comes later is noise
LEASE = timedelta(seconds=120)  # one whose worker died is due again after it
PATIENCE = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240)]  # the last one repeats
MAX_ATTEMPTS = 12  # a little over a day
AHEAD = timedelta(hours=1)  # a clock that is put right may go back by so much without harm
PAGE = "digests:leave"
PRESSED_LATELY = timedelta(minutes=1)


def make_due(*, now: datetime | None = None) -> int:
    """Make a row for each person whose digest is due and has none; one that is far too late says so and is not sent."""
    with advisory_lock("weekly digests") as is_ours:
        if not is_ours:
            return 0
        now = now or database_now()
        weekly = Digest.objects.filter(occasion=Digest.Occasion.WEEK)
        weekly.filter(scheduled_at__gt=now + AHEAD).update(occasion=Digest.Occasion.ASTRAY)
        made = set(
            weekly.filter(week_on__gt=now.date() - timedelta(days=30)).values_list(
                "user", "week_on"
            )
        )
        due = [digest for digest in _all_due(now) if (digest.user_id, digest.week_on) not in made]
        Digest.objects.bulk_create(due, ignore_conflicts=True)
    return len(due)


def _all_due(now: datetime) -> list[Digest]:
    """Return the digests of the last Monday; who may not see the numbers starts anew when that changes."""
    on = Subscription.objects.filter(is_on=True).select_related("user")
    due = [digest for one in on if (digest := _due(one, now)) is not None]
    barred = [digest.user_id for digest in due if not may(digest.user, Act.SEE)]
    Subscription.objects.filter(user__in=barred).update(since_at=now)
    return [digest for digest in due if digest.user_id not in barred]


def _due(subscription: Subscription, now: datetime) -> Digest | None:
    """Return the digest of the last Monday, if it was asked for by then."""
    user = subscription.user
    due = last_due(now, zone_of(user.time_zone))
    if subscription.since_at > due:
        return None
    digest = Digest(
        user=user, week_on=week_before(due), time_zone=user.time_zone, scheduled_at=due, due_at=due
    )
    if now - due > LATE:
        digest.done_at, digest.has_failed = now, True
        digest.result = "mailops did not run on Monday, and its digest would have come days late: it was left out."
    return digest


def deliver_due() -> int:
    """Send what is due, for at most BUDGET_SECONDS; return how many were tried."""
    tried, stop_at, weeks = 0, monotonic() + BUDGET_SECONDS, Weeks()
    while monotonic() < stop_at and (digest_id := _claim()) is not None:
        deliver(digest_id, weeks)
        tried += 1
    return tried


class Weeks:
    """Gathers each week once a zone, however many read it at the same time."""

    def __init__(self) -> None:
        self._gathered: dict[tuple[date, str], dict[str, Any]] = {}

    def data(self, digest: Digest) -> dict[str, Any]:
        key = (digest.week_on, digest.time_zone)
        if key not in self._gathered:
            self._gathered[key] = data_of(*key)
        return self._gathered[key]


@transaction.atomic
def _claim() -> int | None:
    """Take one that is due: it is due again after the lease, so whoever breaks over it holds up nobody else."""
    locked = Digest.objects.due().select_for_update(skip_locked=True)
    digest = locked.order_by("due_at", "id").first()
    if digest is None:
        return None
    digest.attempts += 1
    digest.due_at = database_now() + LEASE
    digest.result = digest.result or "mailops broke off while it was made."
    if digest.attempts > MAX_ATTEMPTS:
        digest.done_at, digest.has_failed = database_now(), True
    digest.save(update_fields=["attempts", "due_at", "result", "done_at", "has_failed"])
    return digest.pk


def deliver(digest_id: int, weeks: Weeks) -> Digest:
    """Queue the digest as a message, or note why not; what was queued or given up stays as it is."""
    try:
        return _queue(digest_id, weeks)
    except (NoWay, RefusedSubmission, RenderError) as failure:
        return _note_failure(digest_id, str(failure))


@transaction.atomic
def _queue(digest_id: int, weeks: Weeks) -> Digest:
    digest = Digest.objects.select_for_update(of=("self",)).select_related("user").get(pk=digest_id)
    if not digest.is_waiting:
        return digest
    if why := _unwanted(digest):
        return _finish(digest, result=why)
    return _finish(digest, message=_submit(digest, weeks), result="")


def _unwanted(digest: Digest) -> str:
    """Say why the person gets it no more, if so: what held when it was made may not hold now."""
    user = digest.user
    if not user.is_active:
        return "The account was deactivated."
    if not may(user, Act.SEE):
        return "The account has no role that may see the numbers."
    is_on = Subscription.objects.filter(user=user, is_on=True).exists()
    return "" if is_on or digest.was_asked_for else "It was switched off."


def _submit(digest: Digest, weeks: Weeks) -> Message:
    way = usable_way()
    return submit(
        stream=way.stream,
        identity=way.identity,
        recipient=digest.user.email,
        version=current_version(),
        merge_data={**weeks.data(digest), LEAVING_PAGE: PAGE},
        idempotency_key=f"weekly-digest-{digest.pk}",
    )


def data_of(week_on: date, zone_name: str) -> dict[str, Any]:
    """Return what the mail of the week that begins on Monday `week_on` says, in the words of a zone."""
    zone = zone_of(zone_name)
    now = database_now()
    with timezone.override(zone):
        return as_data(tell(week_of(week_on, zone), now), now, zone_name)


def _finish(digest: Digest, *, result: str, message: Message | None = None) -> Digest:
    digest.done_at, digest.result, digest.message = database_now(), result, message
    digest.save(update_fields=["done_at", "result", "message"])
    return digest


@transaction.atomic
def _note_failure(digest_id: int, result: str) -> Digest:
    """Try again later, within bounds; what was asked for by a press was answered with the reason, and is not tried again."""
    digest = Digest.objects.select_for_update().get(pk=digest_id)
    if digest.is_waiting:
        digest.result = result
        if digest.was_asked_for or digest.attempts >= MAX_ATTEMPTS:
            digest.done_at, digest.has_failed = database_now(), not digest.was_asked_for
        pause = PATIENCE[min(max(digest.attempts, 1), len(PATIENCE)) - 1]
        digest.due_at = database_now() + pause
        digest.save(update_fields=["result", "done_at", "has_failed", "due_at"])
    return digest


class JustSent(Exception):
    """One was asked for less than a minute ago."""


@transaction.atomic
def send_one_now(user: User) -> Digest:
    """Send the digest of the last whole week at once; raise JustSent where that was pressed a moment ago."""
    User.objects.select_for_update().get(pk=user.pk)  # of two presses one waits for the other
    asked = Digest.objects.filter(user=user, occasion=Digest.Occasion.ASKED)
    if asked.filter(created_at__gt=Now() - PRESSED_LATELY, message__isnull=False).exists():
        raise JustSent
    asked.filter(message=None).delete()  # the newest answer to a press is enough
    now = database_now()
    digest = Digest.objects.create(
        user=user,
        occasion=Digest.Occasion.ASKED,
        week_on=last_whole_week(now, zone_of(user.time_zone)),
        time_zone=user.time_zone,
        due_at=now + LEASE,  # the tick leaves it to this press
    )
    done = deliver(digest.pk, Weeks())
    if done.message:
        audit(
            actor=user, verb="digest.send_now", subject=user, after={"week_on": str(done.week_on)}
        )
    return done
