"""Splits outcomes by domain, stream, transport, campaign or mailbox provider, and bounces by reason."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailops.campaigns.models import Campaign
from mailops.content.models import TemplateVersion
from mailops.domains.models import Domain
from mailops.lib.mailbox_providers import name_of
from mailops.lib.templatetags.words import reason_sentence, reason_word
from mailops.reports.gathering import Numbers
from mailops.reports.models import Figure
from mailops.reports.outcomes import KINDS, Outcome
from mailops.reports.periods import Period
from mailops.reports.sources import figures
from mailops.transports.models import Stream, Transport

TOP = 20
REASONS = 12
OTHERS, NONE = "Others", "None"
UNNAMED = "Providers without a name"  # each a company's own server; rollups hold them together
TOLD_APART = 20_000  # events of theirs, at most: they are read from the counts
_NAMED: dict[str, Any] = {
    "domain_id": Domain,
    "stream_id": Stream,
    "transport_id": Transport,
    "campaign_id": Campaign,
    "version_id": TemplateVersion,
}


@dataclass(frozen=True)
class Share:
    """One row of a split."""

    label: str
    value: str  # what the filter takes; "" where it can't be chosen
    outcome: Outcome
    dimension: str


def split(choices: Mapping[str, Any], period: Period, dimension: str) -> list[Share]:
    """Return the largest shares and what the others sum to."""
    found: dict[Any, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    counted = figures(choices, (period.start, period.end), by=dimension).of_cohorts(period)
    for value, kind, n in counted.events(*KINDS).summed(dimension, "kind"):
        found[value][kind] += n
    if dimension == "mailbox_provider" and 0 < sum(found.get("", {}).values()) <= TOLD_APART:
        _tell_apart(found, choices, period)
    outcomes = sorted(
        ((value, Outcome.of(kinds)) for value, kinds in found.items()),
        key=lambda pair: (-pair[1].answered, str(pair[0])),
    )
    top, rest = outcomes[:TOP], outcomes[TOP:]
    labels = _labels(dimension, [value for value, _ in top])
    shares = [Share(labels.get(v, NONE), str(v or ""), outcome, dimension) for v, outcome in top]
    if rest:
        others = sum((outcome for _, outcome in rest), Outcome())
        shares.append(Share(f"{OTHERS} ({len(rest):,})", "", others, dimension))
    return shares


def _tell_apart(
    found: dict[Any, dict[str, int]], choices: Mapping[str, Any], period: Period
) -> None:
    """Move what providers without a name have together to each by its domain; what none is known of stays."""
    unnamed = Figure.objects.filter(**choices).of_cohorts(period).events(*KINDS).unnamed()
    for domain, kind, n in unnamed.summed("mailbox_provider", "kind"):
        found[domain][kind] += n
        found[""][kind] -= n
    if not any(found[""].values()):
        del found[""]


def _labels(dimension: str, values: list[Any]) -> dict[Any, str]:
    if dimension == "mailbox_provider":
        return {value: name_of(value) if value else UNNAMED for value in values}
    rows = _NAMED[dimension].objects.all()
    if dimension == "version_id":
        rows = rows.select_related("template")
    rows = rows.filter(pk__in=[value for value in values if value is not None])
    missing = {value: f"deleted ({value})" for value in values if value is not None}
    return missing | {row.pk: str(row) for row in rows}


@dataclass(frozen=True)
class Why:
    """A reason of bounces and failures, and how often it was given."""

    label: str
    sentence: str
    n: int
    reason: str = ""


def reasons(numbers: Numbers) -> list[Why]:
    """Return why mail bounced or failed, the commonest reason first."""
    sums = ((reason, sum(steps)) for reason, steps in numbers.refusals.items())
    return [Why(reason_word(why), reason_sentence(why), n, why) for why, n in sums if n][:REASONS]
