"""Lets a person say what replies of a signature mean; from then on they do, and the past is understood anew."""

from dataclasses import asdict, dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.outbox.models import Event, EventKind, Message, Signature, Status
from mailops.outbox.taught import forget_taught
from mailops.protocol.classification import (
    MEANINGS,
    OUR_FAULTS,
    Classification,
    Fault,
    Kind,
    Reason,
    as_taught,
    classify,
)
from mailops.protocol.reply import Reply
from mailops.signatures.models import Lesson
from mailops.suppressions.models import Suppression


class TaughtMeanwhile(Exception):
    """Somebody else said something of it since the page was shown; the text says who."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """What a person says of a signature; an empty reason leaves its replies as mailops reads them."""

    name: str = ""
    cause: str = ""
    fix: str = ""
    owner: str = ""
    reason: str = ""
    kind: str = ""
    fault: str = ""


def word_of(signature: Signature) -> Word:
    """Return what is said of it now."""
    return Word(
        name=signature.name,
        cause=signature.cause,
        fix=signature.fix,
        owner=signature.owner,
        reason=signature.taught_reason,
        kind=signature.taught_kind,
        fault=signature.taught_fault,
    )


def say(signature: Signature, word: Word) -> None:
    """Set what is said of it, saving nothing."""
    signature.name, signature.cause, signature.fix = word.name, word.cause, word.fix
    signature.owner = word.owner
    reason = word.reason if _is_known(word) else ""
    signature.taught_reason = reason
    signature.taught_kind = word.kind if reason else ""
    signature.taught_fault = (word.fault or MEANINGS[Reason(reason)].fault) if reason else ""


def _is_known(word: Word) -> bool:
    """Tell whether this version knows what was said; another one may have had more reasons."""
    kinds, faults = {"", *Kind}, {"", *Fault}
    return word.reason in {*Reason} and word.kind in kinds and word.fault in faults


def teach(
    *,
    key: UUID,
    signature: Signature,
    word: Word,
    revision: int,
    actor: User,
    undoes: Lesson | None = None,
) -> Lesson:
    """Say `word` of a signature whose last one was `revision`; the same key says it once.

    Raise TaughtMeanwhile where somebody else was first.
    """
    with transaction.atomic():
        locked = Signature.objects.select_for_update().get(pk=signature.pk)
        known = Lesson.objects.filter(key=key).first()
        if known is not None:
            return known
        if locked.revision != revision:
            raise TaughtMeanwhile(_who_was_first(locked))
        before = word_of(locked)
        say(locked, word)
        locked.revision += 1
        locked.save()
        is_meant_anew = _told(_meaning(locked, before)) != _told(_meaning(locked, word))
        if is_meant_anew:
            _supersede(locked)
        lesson = Lesson.objects.create(
            key=key,
            signature=locked,
            revision=locked.revision,
            before=asdict(before),
            after=asdict(word_of(locked)),
            undoes=undoes,
            newest_event=Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0,
            planned=Event.objects.filter(signature_id=locked.pk).count() if is_meant_anew else 0,
            created_by=actor,
        )
        if not is_meant_anew:
            _finish_at_once(lesson)
        audit(
            actor=actor,
            verb="signature.undo" if undoes else "signature.teach",
            subject=locked,
            before=asdict(before),
            after=lesson.after,
        )
    forget_taught()
    return lesson


def _told(meaning: Classification) -> tuple[str, ...]:
    """Return what events keep of a meaning."""
    return (meaning.reason, meaning.fault, meaning.sentence, meaning.kind)


def _finish_at_once(lesson: Lesson) -> None:
    """Conclude a lesson that only names things: what the replies mean stays."""
    lesson.state, lesson.finished_at = Lesson.State.COMPLETED, Now()
    lesson.rechecked_at = Now()
    lesson.save()
    lesson.refresh_from_db()


def _who_was_first(signature: Signature) -> str:
    last = Lesson.objects.filter(signature=signature).order_by("-revision").first()
    who = last.actor_name if last else "Somebody"
    return (
        f"{who} taught something of it just now. Look at that, and teach again if it is not right."
    )


def _supersede(signature: Signature) -> None:
    # The new lesson goes through the whole past anyway.
    running = Lesson.objects.filter(signature=signature, state=Lesson.State.RUNNING)
    running.update(
        state=Lesson.State.STOPPED,
        sentence="Something else was taught before it was through; that one went on.",
        finished_at=Now(),
    )


@dataclass(frozen=True, kw_only=True)
class Foresight:
    """What a word would change, before anything happens."""

    replies: int  # of the past
    messages: int
    moved: int  # to another status
    to_failed: bool  # that status: failed, else bounced
    suppressed: int
    withdrawn: int
    meaning: Classification  # of such a reply from then on
    changes_meaning: bool


def foresee(signature: Signature, word: Word) -> Foresight:
    """Return what `word` would change of the past, and what such a reply means from then on."""
    meaning = _meaning(signature, word)
    now = _meaning(signature, word_of(signature))
    events = Event.objects.filter(signature_id=signature.pk)
    refusals = events.filter(
        kind__in=[EventKind.BOUNCED, EventKind.RETURNED, EventKind.FAILED], was_applied=True
    )
    is_ours = meaning.fault in OUR_FAULTS
    wrong = Status.BOUNCED if is_ours else Status.FAILED
    wrongly = EventKind.BOUNCED if is_ours else EventKind.FAILED
    last_wrongly = refusals.filter(message=OuterRef("pk"), kind=wrongly)
    moved = Message.objects.filter(signature_id=signature.pk, status=wrong)
    return Foresight(
        replies=events.count(),
        messages=events.values("message").distinct().count(),
        moved=moved.filter(Exists(last_wrongly)).count(),
        to_failed=is_ours,
        suppressed=_to_suppress(refusals) if meaning.suppress else 0,
        withdrawn=0 if meaning.suppress else evidenced_by(signature.pk).count(),
        meaning=meaning,
        changes_meaning=_told(meaning) != _told(now),
    )


def _meaning(signature: Signature, word: Word) -> Classification:
    said = Signature(code=signature.code, taught_reason="")
    say(said, word)
    reply = Reply(signature.code, signature.example, signature.enhanced_status)
    reading = classify(reply, "rcpt" if signature.code else "returned")
    return as_taught(reading, said.taught, "rcpt") if said.taught else reading


def _to_suppress(refusals: QuerySet[Event]) -> int:
    known = (
        Suppression.objects.active()
        .firm()
        .filter(stream=None, address_key=OuterRef("message__address_key"))
    )
    arrived = Message.objects.filter(
        address_key=OuterRef("message__address_key"), accepted_at__gt=OuterRef("occurred_at")
    )
    fresh = refusals.filter(~Exists(known), ~Exists(arrived))
    return fresh.values("message__address_key").distinct().count()


def evidenced_by(signature_id: int) -> QuerySet[Suppression]:
    """Return the suppressions whose evidence is a reply of the signature."""
    events = Event.objects.filter(signature_id=signature_id).values("pk")
    return Suppression.objects.filter(
        reason=Suppression.Reason.HARD_BOUNCE, evidence_event_id__in=events
    )
