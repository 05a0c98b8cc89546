"""Compares windows of counts with thresholds: opens incidents, keeps them up to date, closes them, may pause."""

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from mailops.accounts.auditing import SYSTEM
from mailops.accounts.models import AuditEntry, User
from mailops.campaigns.models import Campaign
from mailops.incidents import evidence
from mailops.incidents.ailing import (
    broken_domains,
    listed_domains,
    silent_webhooks,
    unanswered_domains,
    unread_mailboxes,
)
from mailops.incidents.burning import burning
from mailops.incidents.giving_up import giving_up
from mailops.incidents.measuring import Rate, held_fairly, rates
from mailops.incidents.models import (
    SUBJECTS,
    Incident,
    IncidentNote,
    Level,
    Notice,
    SubjectKind,
    Threshold,
    Watch,
    span,
)
from mailops.incidents.notifying import announce, announce_open
from mailops.incidents.reading import Reading
from mailops.incidents.unserved import unserved
from mailops.lib.clock import database_now
from mailops.lib.locks import advisory_lock
from mailops.outbox.ledger import bucket_of
from mailops.reports.attention import held_up_by
from mailops.reports.periods import QUARTER_HOUR
from mailops.transports.models import PauseCause, RunState, Transport

logger = logging.getLogger(__name__)

REFRESH = timedelta(seconds=60)  # how often the numbers of an open incident are written anew
_WORDS = {
    Threshold.Measure.BOUNCES: "bounced",
    Threshold.Measure.COMPLAINTS: "was complained about",
}
_LEVEL_WORDS = {Level.WARN: "warn", Level.ACT: "act", Level.STOP: "stop"}


def detect() -> int:
    """Look once at every threshold, and return how many incidents are open; a second caller at once does nothing."""
    with advisory_lock("incidents.detection") as is_ours:
        if is_ours:
            now = database_now()
            for threshold in Threshold.objects.filter(is_enabled=True).order_by("id"):
                _look_apart(threshold, now)
            _let_go()
            announce_open()
            _note_look(now)
        return Incident.objects.open().count()


def _note_look(now: datetime) -> None:
    """Write down that mailops looked: where that stays away, the overview and a health check say so."""
    before = Watch.objects.watching(now).first()
    watch = Watch(since_at=before.since_at if before else now, looked_at=now)
    Watch.objects.bulk_create(
        [watch],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["since_at", "looked_at"],
    )


def read(threshold: Threshold, now: datetime) -> dict[int, Reading]:
    """Return a reading of each subject that the threshold finds in trouble."""
    if threshold.is_rate:
        return _read_rates(threshold, now)
    reader = _READERS.get(threshold.measure)  # none for what another version of mailops measures
    return {one.subject.pk: one for one in reader(threshold, now)} if reader else {}


def _read_burning(threshold: Threshold, now: datetime) -> Iterator[Reading]:
    for one in burning(threshold, now):
        yield Reading(one.stream, one.level, one.sentence, one.since)


def _read_unserved(_: Threshold, now: datetime) -> Iterator[Reading]:
    for one in unserved(now):
        yield Reading(one.stream, Level.STOP, one.sentence, now, to_do=one.to_do)


def _read_given_up(threshold: Threshold, now: datetime) -> Iterator[Reading]:
    for one in giving_up(threshold, SUBJECTS[threshold.subject_kind], now):
        yield Reading(one.lost.of, Level.ACT, one.sentence, one.since)


def _read_faults(threshold: Threshold, now: datetime) -> Iterator[Reading]:
    for one in _stopped(threshold):
        yield _reading_of_fault(one, now)


def _read_breakers(_: Threshold, now: datetime) -> Iterator[Reading]:
    running = Transport.objects.running().order_by("id")
    for one in running.exclude(breaker=Transport.Breaker.CLOSED):
        yield _reading_of_breaker(one, now)


_READERS: dict[str, Callable[[Threshold, datetime], Iterator[Reading]]] = {
    Threshold.Measure.BURN: _read_burning,
    Threshold.Measure.UNSERVED: _read_unserved,
    Threshold.Measure.GIVEN_UP: _read_given_up,
    Threshold.Measure.FAULT: _read_faults,
    Threshold.Measure.BREAKER: _read_breakers,
    Threshold.Measure.RECORDS: lambda _, __: broken_domains(),
    Threshold.Measure.LISTED: lambda _, __: listed_domains(),
    Threshold.Measure.UNANSWERED: lambda _, now: unanswered_domains(now),
    Threshold.Measure.SILENT: silent_webhooks,
    Threshold.Measure.UNREAD: lambda _, now: unread_mailboxes(now),
}


def _stopped(threshold: Threshold) -> Iterable[Any]:
    """Return what stands still and nobody may know: who paused it does, and what a guardrail paused has its incident."""
    rows: QuerySet[Any] = SUBJECTS[threshold.subject_kind].objects.filter(state=RunState.PAUSED)
    return rows.exclude(pause_cause__in=(PauseCause.PERSON, PauseCause.GUARDRAIL)).order_by("id")


def _reading_of_fault(stopped: Any, now: datetime) -> Reading:
    cause = stopped.get_pause_cause_display().lower() or "a fault"
    told = (f"{stopped} is paused by {cause}.", stopped.pause_sentence, held_up_by(stopped))
    level = Level.ACT if isinstance(stopped, Campaign) else Level.STOP
    return Reading(
        stopped,
        level,
        " ".join(filter(None, told)),
        stopped.paused_at or now,
        technical=stopped.pause_detail,
        stopped_at=stopped.paused_at,
    )


def _reading_of_breaker(transport: Transport, now: datetime) -> Reading:
    sentence = f"{transport} can't be reached: {transport.failures} rounds of sessions failed."
    told = (sentence, transport.breaker_sentence, held_up_by(transport))
    return Reading(
        transport, Level.ACT, " ".join(filter(None, told)), now, technical=transport.breaker_detail
    )


def _read_rates(threshold: Threshold, now: datetime) -> dict[int, Reading]:
    since = bucket_of(now - threshold.window)
    over = {
        pk: (rate, since)
        for pk, rate in rates(threshold, since=since).items()
        if _may_be_over(threshold, rate)
    }
    # read before it is asked what people resumed: what stands still here is not stopped anew
    subjects = _with_streams(threshold).in_bulk(list(over))
    for pk, fresh_at in _fresh_starts(threshold, list(over)).items():
        if fresh_at > since:  # what a person has judged already is not held against it again
            rate = rates(threshold, since=fresh_at, subject_id=pk).get(pk, Rate())
            over[pk] = (rate, fresh_at)
    fair = {
        pk: (held_fairly(threshold, rate, since=at, subject_id=pk), at)
        for pk, (rate, at) in over.items()
        if _may_be_over(threshold, rate)
    }
    return {
        pk: Reading(subjects[pk], level, _sentence(threshold, subjects[pk], rate, level), at, rate)
        for pk, (rate, at) in fair.items()
        if pk in subjects and (level := _level(threshold, rate)) is not None
    }


def _with_streams(threshold: Threshold) -> QuerySet[Any]:
    rows: QuerySet[Any] = SUBJECTS[threshold.subject_kind].objects.all()
    is_campaign = threshold.subject_kind == SubjectKind.CAMPAIGN
    return rows.select_related("stream") if is_campaign else rows


def _may_be_over(threshold: Threshold, rate: Rate) -> bool:
    """Tell whether a level is reached, or may be once what came late is held against what was sent before."""
    return threshold.level_of(rate.bad, max(rate.whole, threshold.sample_floor)) is not None


def _level(threshold: Threshold, rate: Rate) -> Level | None:
    if rate.whole < threshold.sample_floor:
        return None
    return threshold.level_of(rate.bad, rate.whole)


def _fresh_starts(threshold: Threshold, ids: list[int]) -> dict[int, datetime]:
    """Return when measuring begins anew: the quarter hour after a person closed an incident or resumed the subject."""
    if not ids:
        return {}
    closed = Incident.objects.filter(threshold=threshold, subject_id__in=ids).closed_by_people()
    starts = closed.last_closes()
    for pk, at in _resumed(threshold, ids):
        starts[pk] = max(at, starts.get(pk, at))
    return {pk: bucket_of(at) + QUARTER_HOUR for pk, at in starts.items()}


def _resumed(threshold: Threshold, ids: list[int]) -> Iterator[tuple[int, datetime]]:
    """Yield when people resumed each subject last, and when the stream that is paused in a campaign's place."""
    kind = SubjectKind(threshold.subject_kind)
    yield from _last_resumes(kind, ids).items()
    if kind is SubjectKind.CAMPAIGN:
        streams = dict(Campaign.objects.filter(pk__in=ids).values_list("pk", "stream_id"))
        resumes = _last_resumes(SubjectKind.STREAM, streams.values())
        yield from ((pk, resumes[stream]) for pk, stream in streams.items() if stream in resumes)


def _last_resumes(kind: SubjectKind, ids: Iterable[int]) -> dict[int, datetime]:
    resumes = AuditEntry.objects.about(SUBJECTS[kind], ids).filter(verb=f"{kind}.resume")
    # what mailops lets go on itself is judged by nobody
    return resumes.exclude(actor_label=SYSTEM).last_of_each()


def _sentence(threshold: Threshold, subject: Any, rate: Rate, level: Level) -> str:
    limit = getattr(threshold, level.value).normalize()
    return (
        f"{rate} of the mail of {subject} {_WORDS[Threshold.Measure(threshold.measure)]} "
        f"within {span(threshold.window_minutes)}; the level to {_LEVEL_WORDS[level]} is {limit:f} %."
    )


def _look_apart(threshold: Threshold, now: datetime) -> None:
    """Look at one threshold; where that fails it is undone and noted, and the others are looked at all the same."""
    try:
        with transaction.atomic():
            _look(threshold, now)
    except Exception:
        if transaction.get_rollback():
            raise  # the database is away, and nothing else can be looked at
        logger.exception("threshold %s (%s) could not be looked at", threshold.pk, threshold)
        if threshold.failing_since_at is None:
            Threshold.objects.filter(pk=threshold.pk).update(failing_since_at=now)
    else:
        if threshold.failing_since_at is not None:
            Threshold.objects.filter(pk=threshold.pk).update(failing_since_at=None)


def _look(threshold: Threshold, now: datetime) -> None:
    """Bring the threshold's incidents up to date; they are locked first, so that no close falls into the reading."""
    locked = threshold.incidents.open().select_for_update(no_key=True)  # notes may be written still
    unsettled = {one.subject_id: one for one in locked}
    for subject_id, reading in read(threshold, now).items():
        incident = unsettled.pop(subject_id, None)
        if incident is None:
            incident = _open(threshold, reading)
        else:
            _keep(threshold, incident, reading, now)
        if threshold.pauses and reading.level is Level.STOP:
            _pause(incident, reading)
    for incident in unsettled.values():
        _calm(threshold, incident, now)


def _let_go() -> None:
    """Close the incidents of thresholds that are switched off: nothing would ever find them calm."""
    orphans = Incident.objects.open().filter(threshold__is_enabled=False)
    for incident in orphans.select_for_update(of=("self",), no_key=True):
        close_by_itself(incident, "Its threshold was switched off.")


def _open(threshold: Threshold, reading: Reading) -> Incident:
    incident = Incident.objects.create(
        threshold=threshold,
        subject_kind=threshold.subject_kind,
        subject_id=reading.subject.pk,
        subject_label=str(reading.subject)[:254],
        level=reading.level,
        sentence=reading.sentence,
        owner=_owner(reading.subject),
        evidence=_evidence(threshold, reading),
    )
    incident.notes.create(kind=IncidentNote.Kind.OPENED, text=reading.sentence)
    announce(incident, Notice.Occasion.OPENED)
    return incident


def _owner(subject: Any) -> User | None:
    """Return who answers for it: for a campaign, who does for its stream."""
    owned = subject.stream if isinstance(subject, Campaign) else subject
    owner: User | None = getattr(owned, "owner", None)
    return owner


def _keep(threshold: Threshold, incident: Incident, reading: Reading, now: datetime) -> None:
    is_worse = reading.level.rank > Level(incident.level).rank
    is_stopped_anew = _is_stopped_anew(incident, reading)
    is_back = incident.calm_since_at is not None or is_stopped_anew
    if is_worse:
        incident.level = reading.level
        incident.notes.create(kind=IncidentNote.Kind.RAISED, text=reading.sentence)
    elif is_back:
        incident.notes.create(kind=IncidentNote.Kind.RETURNED, text=reading.sentence)
    elif now - incident.last_seen_at < REFRESH:
        return
    if is_worse:
        incident.evidence = _evidence(threshold, reading)
    elif reading.rate is not None:
        incident.evidence["numbers"] = evidence.numbers(
            threshold, incident.subject_id, reading.rate, reading.since
        )
    else:
        incident.evidence |= reading.facts
    incident.sentence = _with_worst(reading, Level(incident.level))
    incident.last_seen_at, incident.calm_since_at = now, None
    incident.save()
    if is_worse:
        announce(incident, Notice.Occasion.RAISED)
    elif is_stopped_anew:  # whoever let it go on may have looked away by now
        announce(incident, Notice.Occasion.AGAIN)


def _is_stopped_anew(incident: Incident, reading: Reading) -> bool:
    """Tell whether it went on since the incident was told of, and was stopped again."""
    before = incident.evidence.get("stopped_at")
    return bool(before and reading.stopped_at and reading.facts["stopped_at"] != before)


def _with_worst(reading: Reading, worst: Level) -> str:
    """Return what a reading says, and what was reached before where that was worse: an incident keeps its level."""
    if reading.rate is None or reading.level is worst:
        return reading.sentence
    return f"{reading.sentence} It was over the level to {_LEVEL_WORDS[worst]} before."


def _evidence(threshold: Threshold, reading: Reading) -> dict[str, Any]:
    found = evidence.gather(threshold, reading.subject, reading.since)
    if reading.rate is not None:
        found["numbers"] = evidence.numbers(
            threshold, reading.subject.pk, reading.rate, reading.since
        )
    else:
        found |= reading.facts
    return found


def _pause(incident: Incident, reading: Reading) -> None:
    subject = reading.subject
    stopped = subject.stream if isinstance(subject, Campaign) else subject
    if stopped.is_paused:
        return  # or was, when the look began, and a person resumed it since
    if stopped.pause(PauseCause.GUARDRAIL, reading.sentence, f"Incident {incident.pk}"):
        incident.notes.create(
            kind=IncidentNote.Kind.PAUSED, text=f"mailops paused {stopped}: the level to stop."
        )


def _calm(threshold: Threshold, incident: Incident, now: datetime) -> None:
    """All is well, or nothing more is known: close after a while, but never what is paused because of it."""
    stopped = incident.stoppable()
    if stopped is not None and stopped.is_paused and threshold.is_rate:
        return
    if incident.calm_since_at is None:
        incident.calm_since_at = now
        incident.save(update_fields=["calm_since_at"])
        incident.notes.create(kind=IncidentNote.Kind.CALMED, text="No longer seen.")
    elif now - incident.calm_since_at >= threshold.calm:
        close_by_itself(incident, f"Not seen for {span(int(threshold.calm.seconds / 60))}.")


@transaction.atomic
def close_by_itself(incident: Incident, reason: str) -> None:
    """Close an incident whose trouble is over."""
    Incident.objects.filter(pk=incident.pk).update(
        state=Incident.State.CLOSED, closed_at=database_now(), close_reason=reason
    )
    incident.notes.create(kind=IncidentNote.Kind.CLOSED, text=reason)
    announce(incident, Notice.Occasion.CLOSED)


def is_still_there(incident: Incident) -> bool:
    """Tell whether the trouble can be seen now; only asked of faults, since what is counted begins anew after a close.

    Where looking fails nothing is seen: a person who knows that it is over may say so.
    """
    if incident.threshold.begins_anew or incident.threshold.failing_since_at is not None:
        return False
    return incident.subject_id in read(incident.threshold, database_now())
