"""What people do with an incident: acknowledge, own, note, pause, resume, close."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import ChangedMeanwhile, expect, mark_of
from mailops.accounts.models import User
from mailops.incidents.detection import is_still_there
from mailops.incidents.models import Incident, IncidentNote, Notice
from mailops.incidents.notifying import announce
from mailops.transports.models import PauseCause, PausedAnew, Stream, Transport

TWO_PRESSES = timedelta(minutes=1)  # the same note again within it is one


class NotPossible(Exception):
    """The act doesn't fit the incident as it is now; the sentence says why."""


def _locked(incident: Incident) -> Incident:
    """Return the incident as it is now, locked, or raise NotPossible if it is closed."""
    now = Incident.objects.select_for_update().get(pk=incident.pk)
    if not now.is_open:
        raise NotPossible("This incident is closed already.")
    return now


@transaction.atomic
def acknowledge(*, incident: Incident, actor: User) -> None:
    """Tell the others that somebody is on it; who does so takes it over."""
    locked = _locked(incident)
    if locked.is_acknowledged:
        raise NotPossible("It is acknowledged already.")
    before = {"state": locked.state, "owner": _name(locked.owner)}
    taken_over = f" It was {locked.owner}'s." if locked.owner not in {None, actor} else ""
    locked.state, locked.owner = Incident.State.ACKNOWLEDGED, actor
    locked.save(update_fields=["state", "owner"])
    _note(locked, actor, IncidentNote.Kind.ACKNOWLEDGED, f"{actor} is on it.{taken_over}")
    after = {"state": str(locked.state), "owner": str(actor)}
    _tell(actor, "incident.acknowledge", locked, before=before, after=after)


@transaction.atomic
def assign(*, incident: Incident, owner: User | None, actor: User, seen: str = "") -> bool:
    """Make `owner` answer for it; return whether nobody or somebody else did.

    Raise NotPossible where the mark of its owner is not the one `seen`; "" is any.
    """
    locked = _locked(incident)
    try:
        expect(seen, was=mark_of(locked.owner_id), wanted=mark_of(owner and owner.pk))
    except ChangedMeanwhile as changed:
        raise NotPossible(
            f"{locked.owner or 'Nobody'} is the owner by now: somebody set that since you looked. Choose again if it is to change."
        ) from changed
    if locked.owner == owner:
        return False
    before, name = _name(locked.owner), _name(owner)
    locked.owner = owner
    locked.save(update_fields=["owner"])
    _note(locked, actor, IncidentNote.Kind.ASSIGNED, f"Owner: {name or 'nobody'}.")
    _tell(actor, "incident.assign", locked, before={"owner": before}, after={"owner": name})
    return True


@transaction.atomic
def add_note(*, incident: Incident, text: str, actor: User) -> None:
    """Write `text` on the timeline, once where a button was pressed twice; a closed incident takes notes too."""
    # a second press waits here; at the incident it would wait for whoever looks at the thresholds, too
    User.objects.select_for_update(no_key=True).get(pk=actor.pk)
    said = incident.notes.filter(kind=IncidentNote.Kind.NOTE, text=text, author=actor)
    if said.filter(at__gt=Now() - TWO_PRESSES).exists():
        return
    _note(incident, actor, IncidentNote.Kind.NOTE, text)
    _tell(actor, "incident.note", incident, after={"note": text})


@transaction.atomic
def pause(*, incident: Incident, actor: User) -> None:
    """Stop the mail this incident is about."""
    stopped = _stoppable(incident)
    sentence = f"Paused by {actor} because of incident {incident.pk}: {incident.sentence}"
    if not stopped.pause(PauseCause.PERSON, sentence, actor=actor):
        raise NotPossible(f"{stopped} is paused already.")
    _note(incident, actor, IncidentNote.Kind.PAUSED, f"Paused {stopped}.")


@transaction.atomic
def resume(*, incident: Incident, actor: User, seen: str | None = None) -> None:
    """Let that mail pass again, if the mark of its pause is the one `seen`; None is any.

    Its rates are measured anew from the next quarter hour.
    """
    stopped, reason = _stoppable(incident), f"From incident {incident.pk}"
    try:
        is_resumed = stopped.resume(actor=actor, reason=reason, seen=seen)
    except PausedAnew as other:
        raise NotPossible(str(other)) from other
    if not is_resumed:
        raise NotPossible(f"{stopped} is running already.")
    _note(incident, actor, IncidentNote.Kind.RESUMED, f"Resumed {stopped}.")


@transaction.atomic
def close(*, incident: Incident, reason: str, actor: User) -> None:
    """Close it because of `reason`; a fault that is still there can't be closed away."""
    locked = _locked(incident)
    if is_still_there(locked):
        raise NotPossible("It is still there, and would open again at once. Mend the cause first.")
    before = locked.state
    locked.state, locked.closed_at, locked.close_reason = Incident.State.CLOSED, Now(), reason
    locked.save(update_fields=["state", "closed_at", "close_reason"])
    _note(locked, actor, IncidentNote.Kind.CLOSED, reason)
    _tell(actor, "incident.close", locked, before={"state": before}, reason=reason)
    announce(locked, Notice.Occasion.CLOSED)


def _name(person: User | None) -> str | None:
    return str(person) if person else None


def _stoppable(incident: Incident) -> Stream | Transport:
    stopped = incident.stoppable()
    if stopped is None:
        raise NotPossible(
            f"Nothing can be paused or resumed from here: see the page of {incident.subject_label}, if it still exists."
        )
    return stopped


def _note(incident: Incident, actor: User, kind: IncidentNote.Kind, text: str) -> None:
    incident.notes.create(kind=kind, text=text, author=actor, author_label=str(actor))


def _tell(actor: User, verb: str, incident: Incident, **details: Any) -> None:
    details.setdefault("after", {"state": str(incident.state)})
    audit(actor=actor, verb=verb, subject=incident, **details)
