"""Who looked at a period's mail: messages opened and clicked, each once, people and machines apart."""

from collections.abc import Mapping
from dataclasses import dataclass

from mailops.outbox.models import EventKind
from mailops.reports.counting import by_reason, total
from mailops.reports.outcomes import percent
from mailops.reports.periods import Period
from mailops.reports.sources import Choices

PEOPLE, PROXIES, MACHINES = "", "mail_program", "machine"  # the reasons of tracking's events


@dataclass(frozen=True)
class Looked:
    """How many messages were looked at in one way, by whom."""

    label: str
    people: int
    proxies: int
    machines: int
    accepted: int

    @property
    def rate(self) -> float | None:
        return percent(self.people, self.accepted)


def looked(period: Period, choices: Choices) -> list[Looked]:
    """Return opens and clicks of the mail of `period`; none of a kind that nobody told of."""
    accepted = total(period, choices).accepted
    kinds = (("Opened by people", EventKind.OPENED), ("Clicked by people", EventKind.CLICKED))
    found = [(label, by_reason(period, choices, [kind])) for label, kind in kinds]
    return [_looked(label, counts, accepted) for label, counts in found if counts]


def _looked(label: str, counts: Mapping[str, int], accepted: int) -> Looked:
    people, proxies, machines = (counts.get(reason, 0) for reason in (PEOPLE, PROXIES, MACHINES))
    return Looked(label, people, proxies, machines, accepted)
