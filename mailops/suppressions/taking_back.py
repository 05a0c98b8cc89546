"""Takes back what an import added, in chunks that can be cut off anywhere and doubled by nobody.

An entry goes while imports alone say it: what a bounce, a recipient or a person said since, even if more weakly, is noted
in it (`Suppression.confirmed_as`), and what another import named that was not over when this one began stands in its rows.
Providers are told nothing: no import puts an address on their lists.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.lib.chunks import MAX_FAILURES, count_failure, stop_one, take
from mailops.lib.plans import joining_whole_tables
from mailops.suppressions.models import (
    ImportedRow,
    Suppression,
    SuppressionImport,
    SuppressionQuerySet,
    TakingBack,
)

CHUNK = 500  # entries in one transaction
State = TakingBack.State


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would become of the addresses that an import named."""

    removes: int
    confirmed: list[tuple[str, int]]  # the reason in words, and how many stay for it
    named_again: int  # stay, since another import names them
    others: list[SuppressionImport]  # those imports
    stood_before: int
    gone: int  # were taken off one by one


def plan(run: SuppressionImport) -> Plan:
    """Return what taking `run` back would do now."""
    brought = Suppression.objects.filter(brought_by=run)
    by_reason = brought.exclude(confirmed_as="").values_list("confirmed_as")
    confirmed = dict(by_reason.annotate(Count("pk")).order_by())
    alone, others = _alone(run), list(_others(run))
    numbers, n, named_again = Counter(run.numbers), alone.count(), 0
    naming: list[SuppressionImport] = []
    if others:
        with joining_whole_tables(connection):
            named_again = _named_by(others, alone).count()
            naming = _naming(others, alone)
    return Plan(
        removes=n - named_again,
        confirmed=[
            (reason.label, confirmed[reason])
            for reason in Suppression.Reason
            if reason in confirmed
        ],
        named_again=named_again,
        others=naming,
        stood_before=numbers["unchanged"] + numbers["strengthened"],
        gone=max(0, numbers["added"] - n - sum(confirmed.values())),
    )


def _alone(run: SuppressionImport) -> SuppressionQuerySet:
    return Suppression.objects.filter(brought_by=run, confirmed_as="")


def _others(run: SuppressionImport) -> QuerySet[SuppressionImport]:
    """Return the imports that may have named what `run` brought, but for those that are taken back, too."""
    return (
        SuppressionImport.objects.filter(Q(finished_at=None) | Q(finished_at__gt=run.created_at))
        .exclude(pk=run.pk)
        .exclude(taking_back__state__in=[State.RUNNING, State.COMPLETED])
        .order_by("pk")
    )


def _named_by(
    others: Sequence[SuppressionImport], entries: SuppressionQuerySet
) -> SuppressionQuerySet:
    """Keep the entries that one of the imports `others` names as well."""
    rows = ImportedRow.objects.filter(
        run__in=others, outcome__in=ImportedRow.NAMED, address_key=OuterRef("address_key")
    ).alias(of_stream=Coalesce("stream_id", 0))
    in_its_stream = rows.filter(of_stream=Coalesce(OuterRef("stream_id"), 0))
    return entries.filter(Exists(in_its_stream))


def _naming(
    others: Sequence[SuppressionImport], entries: SuppressionQuerySet
) -> list[SuppressionImport]:
    """Return those of the imports `others` that name one of the entries."""
    in_its_place = entries.alias(of_stream=Coalesce("stream_id", 0)).filter(
        address_key=OuterRef("address_key"), of_stream=Coalesce(OuterRef("stream_id"), 0)
    )
    rows = ImportedRow.objects.filter(run__in=others, outcome__in=ImportedRow.NAMED)
    naming = set(rows.filter(Exists(in_its_place)).values_list("run", flat=True).distinct())
    return [other for other in others if other.pk in naming]


def start_taking_back(*, run: SuppressionImport, reason: str, actor: User) -> bool:
    """Begin to take an import back, or go on with it, because of `reason`; tell whether there is something to do.

    One that was taken back is so again where more can go by now. Else it counts as taken back all the same: what it named
    keeps nothing on the list that another import brought.
    """
    with transaction.atomic():
        locked = SuppressionImport.objects.select_for_update().get(pk=run.pk)
        taking = TakingBack.objects.select_for_update().filter(run=locked).first()
        if not locked.may_be_taken_back or (taking and taking.is_running):
            return False
        removes = plan(locked).removes
        if taking and taking.is_completed and not removes:
            return False
        taking = taking or TakingBack(run=locked)
        taking.state, taking.sentence, taking.detail, taking.finished_at = (
            State.RUNNING,
            "",
            "",
            None,
        )
        taking.cursor, taking.failures = 0, 0
        taking.reason, taking.created_by, taking.created_at = reason, actor, timezone.now()
        taking.planned = taking.removed + removes
        taking.save()
        audit(
            actor=actor,
            verb="taking_back.start",
            subject=locked,
            after={"addresses": removes},
            reason=reason,
        )
    return True


def take_back_chunk(*, run_id: int) -> bool:
    """Take the next entries off the list; return whether more may be waiting (False also where another process is at it)."""
    with transaction.atomic():
        taking = take(TakingBack.objects.all(), run_id)
        if taking is None:
            return False
        ids = _alone(taking.run).filter(pk__gt=taking.cursor).order_by("pk")
        next_ids = list(ids.values_list("pk", flat=True)[:CHUNK])
        if not next_ids:
            _finish(taking, State.COMPLETED, actor=taking.created_by)
            return False
        gone = _remove(taking.run, next_ids)
        taking.cursor = next_ids[-1]
        taking.removed += gone
        taking.failures = 0
        taking.save()
    return True


def _remove(run: SuppressionImport, ids: Iterable[int]) -> int:
    """Take those of the entries off the list that are still the import's alone, and note it in its account."""
    # locked in the order of whoever else locks many, and only then asked for who names them, too
    theirs = _alone(run).filter(pk__in=ids).order_by("address_key", "stream_id").select_for_update()
    entries = {entry.pk: entry for entry in theirs}
    named = ImportedRow.objects.filter(
        run__in=list(_others(run)),
        outcome__in=ImportedRow.NAMED,
        address_key__in=[entry.address_key for entry in entries.values()],
    )
    places = {row.place for row in named.only("address_key", "stream_id")}
    entries = {pk: entry for pk, entry in entries.items() if entry.place not in places}
    keys: defaultdict[int | None, list[str]] = defaultdict(list)
    for entry in entries.values():
        keys[entry.stream_id].append(entry.address_key)
    Suppression.objects.filter(pk__in=entries).delete()
    outcome = ImportedRow.Outcome
    for stream_id, address_keys in keys.items():
        rows = run.rows.filter(outcome=outcome.ADDED, address_key__in=address_keys)
        rows.filter(stream=stream_id).update(outcome=outcome.TAKEN_BACK)
    run.numbers = (
        Counter(run.numbers)
        + Counter({outcome.TAKEN_BACK.value: len(entries)})
        - Counter({outcome.ADDED.value: len(entries)})
    )
    run.save(update_fields=["numbers"])
    return len(entries)


_ENDS = {
    State.COMPLETED: "taking_back.complete",
    State.STOPPED: "taking_back.stop",
    State.FAILED: "taking_back.fail",
}


def _finish(
    taking: TakingBack, state: TakingBack.State, *, actor: User | None, sentence: str = ""
) -> None:
    taking.finish(state, sentence)
    taking.save()
    audit(actor=actor, verb=_ENDS[state], subject=taking.run, after={"removed": taking.removed})


def stop_taking_back(*, run: SuppressionImport, actor: User) -> bool:
    """Leave on the list what is still there; False where it was over already."""

    def stop(taking: TakingBack) -> None:
        sentence = f"{actor} stopped it after {_of_planned(taking)}."
        _finish(taking, State.STOPPED, actor=actor, sentence=sentence)

    return stop_one(TakingBack.objects.all(), run.pk, stop)


def note_failure(run_id: int, error: Exception) -> None:
    """Count a chunk that could not be taken back; after a few in a row it is given up and says why."""
    count_failure(TakingBack.objects.all(), run_id, error, give_up=_give_up)


def _give_up(taking: TakingBack) -> None:
    sentence = (
        f"The next addresses could not be taken off the list, in {MAX_FAILURES} tries; "
        f"{_of_planned(taking)} are."
    )
    _finish(taking, State.FAILED, actor=taking.created_by, sentence=sentence)


def _of_planned(taking: TakingBack) -> str:
    return f"{taking.removed:,} of {taking.planned:,} addresses"
