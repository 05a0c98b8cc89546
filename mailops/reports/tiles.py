"""The numbers one looks at first, each against the period before and its thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.timezone import localtime

from mailops.reports.charting import said
from mailops.reports.outcomes import Limits, Outcome, Thresholds, percent, state_of

NOISE = 0.05  # of the rate before; a smaller change is told, but is neither good nor bad
# messages before, and how often as many now: else a percentage says nothing
COMPARABLE, MOST_TIMES = 50, 10


@dataclass(frozen=True)
class Tile:
    label: str
    value: str
    note: str
    trend: str = ""
    trend_direction: str = ""
    trend_tone: str = ""
    threshold: str = ""
    threshold_state: str = ""


def tiles(
    now: Outcome,
    before: Outcome | None,
    limits: Limits,
    standing: Mapping[str, int] | None = None,
    *,
    so_far: tuple[Outcome, Outcome] | None = None,
    over_until: datetime | None = None,
) -> list[Tile]:
    """Return the tiles; without trends where nothing is to be compared with.

    `standing` is of the same messages as `now`: how many have each status. `so_far` is of a period that is not over yet:
    what became of the mail of its steps that are, which is `over_until` then, and of the same steps of the period before.
    """
    was = before or Outcome()
    return [
        Tile(
            "Accepted",
            said(now.acceptance),
            f"{now.accepted:,} of {now.answered:,}",
            *_trend(now.acceptance, was.acceptance, up_is_good=True),
        ),
        Tile(
            "Bounced",
            said(now.bounce_rate),
            f"{now.all_bounced:,} of {now.answered:,}",
            *_trend(now.bounce_rate, was.bounce_rate, up_is_good=False),
            *_threshold(now.bounce_rate, limits.bounces),
        ),
        Tile(
            "Complained",
            said(now.complaint_rate),
            f"{now.complained:,} of {now.accepted:,}",
            *_trend(now.complaint_rate, was.complaint_rate, up_is_good=False),
            *_threshold(now.complaint_rate, limits.complaints),
        ),
        Tile("Sent", f"{now.answered:,}", *_volume(now, before, so_far, over_until)),
        *_given_up(now, standing),
    ]


def _given_up(now: Outcome, standing: Mapping[str, int] | None) -> list[Tile]:
    """Tell of mail that nobody answered for: no rate of what was answered shows it.

    Of a whole campaign its standing, messages by status, says what is given up still. Else it is told as it happened.
    """
    lost = {"expired": now.expired, "failed": now.failed}
    if not any(lost.values()):
        return []
    still = lost
    if standing is not None:
        still = {word: min(few, standing.get(word, 0)) for word, few in lost.items()}
    n = sum(still.values())
    again, owed = sum(lost.values()) - n, now.answered + n
    note = f"{n:,} of {owed:,}"
    if standing is None:
        note += ", whether sent again since or not"
    elif again:
        note += f"; {again:,} {'more ' if n else ''}sent again since"
    return [
        Tile(
            "Given up",
            said(percent(n, owed)),
            note,
            threshold=", ".join(f"{few:,} {word}" for word, few in still.items() if few),
            threshold_state="bad" if n else "",
        )
    ]


def _trend(now: float | None, before: float | None, *, up_is_good: bool) -> tuple[str, str, str]:
    if now is None or before is None:
        return "", "", ""
    change = now - before
    digits = 1 if abs(change) >= 0.0995 else 3
    if not round(change, digits):
        return "as before", "", ""
    is_noise = abs(change) < NOISE * before
    tone = "" if is_noise else "ok" if (change > 0) == up_is_good else "bad"
    return f"{abs(change):.{digits}f} points {_more(change)} than before", _way(change), tone


def _more(change: float) -> str:
    return "more" if change > 0 else "less"


def _way(change: float) -> str:
    return "up" if change > 0 else "down"


def _threshold(rate: float | None, thresholds: Thresholds) -> tuple[str, str]:
    if rate is None:
        return "", ""
    tone, words = state_of(rate, thresholds)
    return words, tone


def _volume(
    outcome: Outcome,
    outcome_before: Outcome | None,
    so_far: tuple[Outcome, Outcome] | None,
    over_until: datetime | None,
) -> tuple[str, str, str]:
    """Compare like with like: of a period that is not over, what is over of it."""
    if outcome_before is None:
        return "", "", ""
    now, before = (one.answered for one in so_far or (outcome, outcome_before))
    share = percent(now - before, before)
    note = f"{outcome_before.answered:,} in the period before"
    is_beyond_compare = before < COMPARABLE or now >= MOST_TIMES * before
    if share is None or is_beyond_compare or not round(share):
        return note, "", ""
    trend = f"{abs(share):,.0f} % {_more(share)}"
    if so_far and over_until:
        trend += f" up to {localtime(over_until):%-d %b, %H:%M}"
    return note, trend, _way(share)
