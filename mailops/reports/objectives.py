"""What streams promise, and how much of that is left: error budgets, and how fast they burn.

What counts is mail that was accepted, and mail that never will be through no fault of its recipient: it failed or
expired. Refusals of a recipient speak of the recipient. What is overdue and still waits counts as broken at once, else a
standstill would be seen only when the first mail expires.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from mailops.accounts.auditing import audit
from mailops.accounts.meanwhile import expect, mark_of
from mailops.accounts.models import User
from mailops.lib.templatetags.numbers import bounded
from mailops.outbox.ledger import bucket_of, fetch_first
from mailops.outbox.models import EventKind
from mailops.reports.latencies import Histogram, Which
from mailops.reports.models import Objective
from mailops.reports.periods import QUARTER_HOUR
from mailops.reports.sources import figures
from mailops.transports.models import Stream

BUDGET = timedelta(days=28)
LOOKED_AT = 20_000  # waiting messages of a stream, at most


@dataclass(frozen=True)
class Score:
    """How many of how many kept the promise."""

    kept: int
    whole: int
    allowed: float  # the share that may break it

    @property
    def broken(self) -> int:
        return self.whole - self.kept

    @property
    def percent(self) -> float | None:
        return 100 * self.kept / self.whole if self.whole else None

    @property
    def burn(self) -> float:
        """How fast the budget goes: at 1 it lasts exactly as long as it is for."""
        return self.broken / self.whole / self.allowed if self.whole else 0.0

    @property
    def left(self) -> float:
        """The share of the budget that is left; negative when more was spent."""
        return 1 - self.burn


@dataclass(frozen=True)
class Standing:
    """Where an objective stands: over all of its budget, and of late."""

    objective: Objective
    budget: Score
    hour: Score
    six_hours: Score

    @property
    def tone(self) -> str:
        if self.budget.left <= 0:
            return "bad"
        return "warn" if self.budget.left < 0.25 or self.hour.burn > 1 else "ok"

    @property
    def percent_left(self) -> float:
        return 100 * max(self.budget.left, 0)

    @property
    def left_words(self) -> str:
        return f"{bounded(self.percent_left, 0)} % left"


def objective_of(stream_id: int) -> Objective | None:
    """Return what a stream promises, or None where it promises nothing."""
    return Objective.objects.select_related("stream").filter(pk=stream_id).first()


def standing(objective: Objective, now: datetime) -> Standing:
    """Return how much of the objective's budget is left, and how fast it burns."""
    overdue = count_overdue(objective)
    scores = [
        score(objective, now - span, now, overdue=overdue)
        for span in (BUDGET, timedelta(hours=1), timedelta(hours=6))
    ]
    return Standing(objective, *scores)


def score(objective: Objective, since: datetime, until: datetime, *, overdue: int = 0) -> Score:
    """Return how many of the stream's messages kept the promise, in the quarter hours that the span lies in."""
    edges = (bucket_of(since), bucket_of(until) + QUARTER_HOUR)
    found = figures({"stream_id": objective.stream_id}, edges)
    slots = found.filter(measure=Which.ACCEPT.value).summed("kind")
    took = Histogram.of(slots)
    lost = found.events(EventKind.FAILED, EventKind.EXPIRED).by_kind()
    return Score(
        kept=took.within(objective.seconds),
        whole=took.total + sum(lost.values()) + overdue,
        allowed=float(1 - objective.percent / 100),
    )


def count_overdue(objective: Objective) -> int:
    """Return how many of the stream's waiting messages are owed for longer than it promises, of a bounded number."""
    (overdue,) = fetch_first(
        """
        SELECT count(*) FILTER (WHERE owed_at < clock_timestamp() - make_interval(secs => %s))
          FROM (SELECT e.owed_at FROM outbox_queueentry e LEFT JOIN campaigns_campaign c ON c.id = e.campaign_id
                 WHERE e.stream_id = %s AND NOT e.is_held AND (c.id IS NULL OR c.state = 'running') LIMIT %s) waiting
        """,
        [objective.seconds, objective.stream_id, LOOKED_AT],
    )
    return int(overdue)


def mark_of_promise(objective: Objective | None) -> str:
    """Return what tells a promise from others, and from none."""
    return mark_of(str(objective) if objective else "")


@transaction.atomic
def promise(
    *, stream: Stream, percent: Decimal, seconds: int, actor: User, seen: str | None = None
) -> Objective:
    """Write down what `stream` promises from now on; what was sent before is judged by it too.

    Whoever saves a form gives the mark that it showed as `seen`: raise ChangedMeanwhile where it is another by now.
    """
    Stream.objects.select_for_update(no_key=True).get(pk=stream.pk)  # a second press waits here
    before = Objective.objects.filter(pk=stream.pk).first()
    wanted = Objective(stream=stream, percent=percent, seconds=seconds)
    expect(seen, was=mark_of_promise(before), wanted=mark_of_promise(wanted))
    if before and (before.percent, before.seconds) == (percent, seconds):
        return before  # pressed twice
    objective, _ = Objective.objects.update_or_create(
        stream=stream, defaults={"percent": percent, "seconds": seconds}
    )
    objective.refresh_from_db()
    audit(
        actor=actor,
        verb="objective.set",
        subject=stream,
        before={"objective": str(before)} if before else {},
        after={"objective": str(objective)},
    )
    return objective


@transaction.atomic
def take_back(*, stream: Stream, actor: User, seen: str | None = None) -> bool:
    """Let `stream` promise nothing; return whether it did. Raise ChangedMeanwhile as `promise` does."""
    Stream.objects.select_for_update(no_key=True).get(pk=stream.pk)
    objective = Objective.objects.filter(pk=stream.pk).first()
    if objective is None:
        return False
    expect(seen, was=mark_of_promise(objective), wanted=mark_of_promise(None))
    audit(
        actor=actor, verb="objective.remove", subject=stream, before={"objective": str(objective)}
    )
    objective.delete()
    return True
