"""Work in chunks of one transaction each: how a task goes on with it, and what becomes of it when chunks fail."""

from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import QuerySet

from mailops.lib.chunked_work import ChunkedWork
from mailops.lib.database_away import will_pass

Run = TypeVar("Run", bound=ChunkedWork)

BUDGET_SECONDS = 6.0  # then a task hands on to a new one, so that none blocks its queue
MAX_FAILURES = 5  # chunks in a row


def go_on(
    chunk: Callable[[], bool],
    *,
    hand_on: Callable[[], object],
    note_failure: Callable[[Exception], None],
    seconds: float = BUDGET_SECONDS,
) -> bool:
    """Do chunks for some seconds, each telling whether there are more; hand on then. Tell whether nothing is left."""
    stop_at = monotonic() + seconds
    try:
        while chunk():
            if monotonic() > stop_at:
                hand_on()
                return False
    except Exception as error:
        if not will_pass(error):
            note_failure(error)
        raise  # the tick comes again
    return True


def delete_some(rows: QuerySet[Any], *, most: int) -> int:
    """Delete the first of `rows`, as many as one statement should, and return how many that were."""
    ids = list(rows.values_list("pk", flat=True)[:most])
    rows.model._default_manager.filter(pk__in=ids).delete()  # noqa: SLF001 - Django's documented name
    return len(ids)


def take(runs: QuerySet[Run], pk: int) -> Run | None:
    """Return the run with its row locked; None where it goes on no more, or another process is at it."""
    return runs.filter(pk=pk, state="running").select_for_update(skip_locked=True).first()


def pick_up(runs: QuerySet[Any], hint: Callable[[int], object]) -> None:
    """Give a `hint` of each of `runs` that goes on, since its own may be lost; the row's lock keeps doubles out."""
    for pk in runs.filter(state="running").values_list("pk", flat=True):
        hint(pk)


def stop_one(runs: QuerySet[Run], pk: int, stop: Callable[[Run], None]) -> bool:
    """Let `stop` end a run, its row locked; False where it was over already."""
    with transaction.atomic():
        run = runs.select_for_update().get(pk=pk)
        if not run.is_running:
            return False
        stop(run)
    return True


def stop_all(runs: QuerySet[Any], stop: Callable[[Any], None]) -> list[str]:
    """Let `stop` end each of `runs` that goes on; return what each was to do."""
    with transaction.atomic():
        running = list(runs.filter(state="running").order_by("pk").select_for_update())
        for run in running:
            stop(run)
    return [str(run) for run in running]


def count_failure(
    runs: QuerySet[Any],
    pk: int,
    error: Exception,
    *,
    give_up: Callable[[Any], None],
    state: str = "running",
) -> None:
    """Count a chunk that failed of a run in `state`, with the technical text; after a few in a row `give_up` ends it."""
    with transaction.atomic():
        run = runs.select_for_update().filter(pk=pk, state=state).first()
        if run is None:
            return
        run.failures += 1
        run.detail = f"{type(error).__name__}: {error}"
        run.save()
        if run.failures >= MAX_FAILURES:
            give_up(run)
