"""Chooses where sums are read from: the coarsest rollup that gives them exactly, or the counts themselves."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import BigIntegerField, CharField, F, Q, Value
from django.db.models.functions import Cast, NullIf

from mailops.reports.dimensions import DIMENSIONS, PAIRS, STEPS
from mailops.reports.models import Figure, FigureQuerySet, RolledFigure
from mailops.reports.sealing import sealed_until

Choices = Mapping[str, Any]
Piece = tuple[int, datetime, datetime]  # step, from, until
RANGES = 200  # more in one query cost more to plan than they save
_ORIGIN = datetime(2000, 1, 1, tzinfo=UTC)


def figures(choices: Choices, edges: Iterable[datetime], *, by: str = "") -> FigureQuerySet:
    """Return the counts that `choices` choose, to be summed between any of `edges`, and perhaps `by` another column.

    They are of the cohorts from the first edge to the last. Group them by nothing else than what was asked for, `kind`
    and `reason`: one row may stand for all streams, or for a whole day between two edges. What belongs to no value, or to
    a provider without a name, is None where `by` is an id, else "".
    """
    dimension = _dimension(choices, by)
    if dimension is None:
        return Figure.objects.filter(**choices)
    columns = dict(zip(dimension.split(" "), ("value", "other"), strict=False))
    chosen = {columns[name]: str(value) for name, value in choices.items()}
    rolled: FigureQuerySet = RolledFigure.objects.filter(
        _between(sorted(set(edges))), dimension=dimension, **chosen
    )
    return rolled.annotate(**{by: _as_column(by, columns[by])}) if by else rolled


def _dimension(choices: Choices, by: str) -> str | None:
    """Return the rollups that answer, or None where only the counts do."""
    asked = set(choices) | ({by} if by else set())
    provider = choices.get("mailbox_provider", "named")
    if not asked <= set(DIMENSIONS) or provider is None or "." in provider or not provider:
        return None
    if any(not isinstance(value, int | str) for value in choices.values()):
        return None
    names = [name for name in DIMENSIONS if name in asked]
    if len(names) == 2 and tuple(names) not in PAIRS:
        return None
    return " ".join(names) if len(names) <= 2 else None


def _as_column(name: str, column: str) -> Any:
    if name == "mailbox_provider":
        return Cast(F(column), CharField())
    return Cast(NullIf(F(column), Value("")), BigIntegerField())


def _between(edges: list[datetime]) -> Q:
    found = Q()
    for step, since, until in pieces(edges, sealed=sealed_until()):
        found |= Q(step=step, cohort_at__gte=since, cohort_at__lt=until)
    return found


def pieces(edges: list[datetime], *, sealed: datetime = _ORIGIN) -> list[Piece]:
    """Return ranges of steps that together are what lies between the edges, and none of which reaches over one.

    Of what is `sealed`, all before that midnight of UTC, there are no quarter hours: an hour belongs to its beginning.
    """
    cut = [sealed] if edges and edges[0] < sealed < edges[-1] else []
    found: list[Piece] = []
    for since, until in pairwise(sorted({*edges, *cut})):
        for piece in _fill(since, until, list(STEPS[1:] if since < sealed else STEPS)):
            if found and found[-1][0] == piece[0] and found[-1][2] == piece[1]:
                found[-1] = (piece[0], found[-1][1], piece[2])
            else:
                found.append(piece)
    if len(found) > RANGES:
        parts = [[one for one in found if (one[1] < sealed) == is_old] for is_old in (True, False)]
        return [(min(part)[0], part[0][1], part[-1][2]) for part in parts if part]
    return found


def _fill(since: datetime, until: datetime, steps: list[int]) -> list[Piece]:
    """Lay the longest steps in the middle and shorter ones around them; what is shorter than any belongs to its start."""
    step = timedelta(minutes=steps[-1])
    first, last = _up(since, step), _up(until, step) if len(steps) == 1 else _down(until, step)
    if len(steps) == 1:
        return [(steps[0], first, last)] if first < last else []
    if first >= last:
        return _fill(since, until, steps[:-1])
    shorter = steps[:-1]
    return [*_fill(since, first, shorter), (steps[-1], first, last), *_fill(last, until, shorter)]


def _down(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - _ORIGIN) % step


def _up(moment: datetime, step: timedelta) -> datetime:
    return -((_ORIGIN - moment) // step) * step + _ORIGIN
