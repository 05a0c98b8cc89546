"""What is asked of the counts without a chart: the outcome of a period, and why mail failed.

Everything speaks of the mail that was accepted, or refused, in a period: a bounce counts where its mail was sent.
`choices` are columns of a count with their values, as {"stream_id": 3, "mailbox_provider": "gmail"}.
"""

from collections.abc import Sequence

from mailops.outbox.models import EventKind
from mailops.protocol.classification import MEANINGS, Fault, Reason
from mailops.reports.models import FigureQuerySet
from mailops.reports.outcomes import KINDS, Outcome
from mailops.reports.periods import Period
from mailops.reports.sources import Choices, figures

WENT_WRONG = (EventKind.BOUNCED, EventKind.RETURNED, EventKind.FAILED)


def total(period: Period, choices: Choices) -> Outcome:
    """Return the outcome of all of `period`."""
    return Outcome.of(_chosen(period, choices).events(*KINDS).by_kind())


def by_reason(
    period: Period, choices: Choices, kinds: Sequence[EventKind] = WENT_WRONG
) -> dict[str, int]:
    """Return how often each reason was given, the commonest first."""
    rows = _chosen(period, choices).events(*kinds).summed("reason")
    return {reason: n for reason, n in sorted(rows, key=lambda row: (-row[1], row[0])) if n}


def fault_of(reason: str) -> Fault:
    """Return whose fault a reason is; reasons of our own, such as a template that can't be rendered, are of the message."""
    try:
        return MEANINGS[Reason(reason)].fault
    except ValueError:
        return Fault.MESSAGE if reason else Fault.UNKNOWN


def _chosen(period: Period, choices: Choices) -> FigureQuerySet:
    return figures(choices, (period.start, period.end)).of_cohorts(period)
