"""Understands the past replies of a signature anew, in chunks that can be cut off anywhere and doubled by nobody.

What a server said never changes; what mailops makes of it may. So the reason, fault and kind of an event are put right
in place, the counts move along in the same transaction, and the message's timeline keeps what it was before and who
taught it. A chunk that runs twice finds nothing to change.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.lib.chunks import MAX_FAILURES, count_failure, take
from mailops.outbox.ledger import lock_messages
from mailops.outbox.models import Event, Signature
from mailops.signatures.changes import changes_of
from mailops.signatures.models import Lesson
from mailops.signatures.resuppressing import suppress_by, withdraw_by
from mailops.signatures.rewriting import rewrite

CHUNK = 300  # events
# by then every process knows the lesson, and has committed what it had
SETTLED = timedelta(seconds=45)
OVERLAP = 10_000  # events with smaller ids that may have been committed later


def reclassify_chunk(*, lesson_id: int, most: int = CHUNK) -> bool:
    """Understand the next events anew; return whether more may be waiting (False also where another is at it)."""
    with transaction.atomic():
        lesson = take(Lesson.objects.all(), lesson_id)
        if lesson is None:
            return False
        last, looked_at = _go_on(lesson, after=lesson.cursor, most=most)
        if not looked_at:
            lesson.cursor = max(lesson.newest_event - OVERLAP, 0)  # where the second look begins
            lesson.failures = 0
            _finish(lesson, Lesson.State.COMPLETED)
            return False
        lesson.cursor, lesson.failures = last, 0
        lesson.looked_at += looked_at
        lesson.save()
    return True


def settled() -> list[int]:
    """Return the lessons that every process knows by now, and of which a second look is owed."""
    known = _owing().filter(finished_at__lt=timezone.now() - SETTLED)
    return list(known.order_by("pk").values_list("pk", flat=True))


def _owing() -> QuerySet[Lesson]:
    return Lesson.objects.filter(state=Lesson.State.COMPLETED, rechecked_at=None)


def recheck_chunk(*, lesson_id: int, most: int = CHUNK) -> bool:
    """Look once more at the next of what was being recorded since a lesson began; tell as `reclassify_chunk` does."""
    with transaction.atomic():
        lesson = _owing().filter(pk=lesson_id).select_for_update(skip_locked=True).first()
        if lesson is None:
            return False
        looked_at = 0
        if lesson.is_newest:
            lesson.cursor, looked_at = _go_on(lesson, after=lesson.cursor, most=most)
        if not looked_at:
            lesson.rechecked_at = timezone.now()
        lesson.failures = 0
        lesson.save()
    return bool(looked_at)


def _go_on(lesson: Lesson, *, after: int, most: int) -> tuple[int, int]:
    """Understand the events that follow; return the last one's id and how many there were."""
    signature = Signature.objects.get(pk=lesson.signature_id)
    ids = list(
        Event.objects.filter(signature_id=signature.pk, pk__gt=after)
        .order_by("pk")
        .values_list("pk", "message_id")[:most]
    )
    if not ids:
        return after, 0
    rows, _ = lock_messages(sorted({message_id for _, message_id in ids}))
    told = changes_of(signature, [pk for pk, _ in ids], rows)
    rewrite(lesson, [one for one in told if one.is_other])
    suppress_by(lesson, told)
    withdraw_by(lesson, told)
    return ids[-1][0], len(ids)


def _finish(lesson: Lesson, state: Lesson.State, *, sentence: str = "") -> None:
    lesson.finish(state, sentence)
    lesson.save()
    audit(
        actor=lesson.created_by,
        verb=f"signature.{'reclassify' if state == Lesson.State.COMPLETED else 'fail'}",
        subject=lesson.signature,
        after={
            "replies": lesson.changed,
            "messages moved": lesson.moved,
            "suppressed": lesson.suppressed,
            "suppressions withdrawn": lesson.withdrawn,
        },
    )


def note_failure(lesson_id: int, error: Exception) -> None:
    """Count a chunk that could not be understood anew; after a few in a row the lesson fails and says why."""
    count_failure(Lesson.objects.all(), lesson_id, error, give_up=_give_up)


def note_recheck_failure(lesson_id: int, error: Exception) -> None:
    """Count a chunk of the second look that failed; after a few in a row the lesson fails and says why."""
    state = Lesson.State.COMPLETED
    count_failure(_owing(), lesson_id, error, give_up=_give_up_recheck, state=state)


def try_again(lesson: Lesson, *, actor: User) -> bool:
    """Let a lesson that failed go on where it was; return False where it didn't, or something was taught since."""
    with transaction.atomic():
        # as `teach` does, which ends what runs
        Signature.objects.select_for_update().get(pk=lesson.signature_id)
        locked = Lesson.objects.select_for_update().get(pk=lesson.pk)
        if not locked.may_be_tried_again:
            return False
        behind = Event.objects.filter(signature_id=locked.signature_id, pk__gt=locked.cursor)
        locked.planned = locked.looked_at + behind.count()
        locked.state, locked.failures, locked.finished_at = Lesson.State.RUNNING, 0, None
        locked.sentence = locked.detail = ""
        locked.save()
        audit(actor=actor, verb="signature.retry", subject=locked.signature)
    lesson.refresh_from_db()
    return True


def _give_up_recheck(lesson: Lesson) -> None:
    sentence = (
        f"Replies that were recorded while it began could not be looked at once more in {MAX_FAILURES} tries: "
        "some of them may still mean what they meant before. All others mean what was taught."
    )
    _finish(lesson, Lesson.State.FAILED, sentence=sentence)


def _give_up(lesson: Lesson) -> None:
    sentence = (
        f"The next replies could not be understood anew in {MAX_FAILURES} tries; "
        f"the {lesson.looked_at:,} before them are. New ones mean what was taught."
    )
    _finish(lesson, Lesson.State.FAILED, sentence=sentence)
