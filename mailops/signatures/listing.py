"""Asks the counts of signatures: which replies came in a time, how often, from where."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from mailops.campaigns.models import Campaign
from mailops.lib.mailbox_providers import name_of
from mailops.outbox.models import Signature, SignatureCount
from mailops.reports.periods import Period
from mailops.transports.models import Stream, Transport

TOP = 12
SAMPLE = 5  # replies; what changed from fewer says little
NEW_FOR = timedelta(days=2)
Choices = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """One signature of the list."""

    signature: Signature
    n: int
    before: int  # in the period before
    is_new: bool  # its first reply ever lies in the period, and not long before its end

    @property
    def trend(self) -> str:
        """Say how much oftener or rarer it came than before; nothing where that says little."""
        if self.is_new or self.before < SAMPLE:
            return ""
        times = self.n / self.before
        if times >= 2:
            return f"{times:.0f} times as often as before"
        return "half as often as before, or less" if times <= 0.5 else ""


def counts_in(period: Period, choices: Choices) -> QuerySet[SignatureCount]:
    """Return the counts of `period` that `choices` (columns with their values) choose."""
    chosen = dict(choices)
    domain = chosen.pop("domain_id", None)
    found = SignatureCount.objects.filter(
        bucket_at__gte=period.start, bucket_at__lt=period.end, **chosen
    )
    if domain is not None:
        found = found.filter(stream_id__in=Stream.objects.filter(domain=domain).values("pk"))
    return found


def ranked(
    period: Period, choices: Choices, *, text: str = "", reason: str = ""
) -> list[tuple[int, int]]:
    """Return the ids of the signatures that came in `period`, each with its number, the commonest first."""
    found = counts_in(period, choices)
    if text or reason:
        found = found.filter(signature_id__in=_named(text, reason).values("pk"))
    rows = found.order_by().values_list("signature_id").annotate(total=Sum("n"))
    return sorted(((pk, n) for pk, n in rows if n > 0), key=lambda row: (-row[1], row[0]))


def _named(text: str, reason: str) -> QuerySet[Signature]:
    found = Signature.objects.all()
    for word in text.split():
        found = found.filter(
            Q(pattern__icontains=word)
            | Q(name__icontains=word)
            | Q(enhanced_status=word)
            | Q(code=int(word) if word.isdecimal() and len(word) == 3 else -1)
        )
    if reason:
        found = found.filter(Q(taught_reason=reason) | Q(taught_reason="", reason=reason))
    return found


def lines(ranks: Sequence[tuple[int, int]], period: Period, choices: Choices) -> list[Line]:
    """Return what the list shows of these signatures."""
    ids = [pk for pk, _ in ranks]
    known = Signature.objects.in_bulk(ids)
    before = counts_in(period.previous, choices).filter(signature_id__in=ids)
    earlier = dict(before.order_by().values_list("signature_id").annotate(total=Sum("n")))
    new_since = max(period.start, min(period.end, timezone.now()) - NEW_FOR)
    return [
        Line(row, n, earlier.get(pk, 0), row.first_at >= new_since and not row.is_other)
        for pk, n in ranks
        if (row := known.get(pk)) is not None
    ]


def top(period: Period, choices: Choices, *, most: int = 5) -> list[Line]:
    """Return the commonest signatures of a time: what explains a spike."""
    return lines(ranked(period, choices)[:most], period, choices)


@dataclass(frozen=True)
class Place:
    """From where replies came: a stream, transport, campaign or mailbox provider."""

    label: str
    value: str  # what the filter takes
    n: int


PLACES: tuple[tuple[str, str, str], ...] = (
    ("mailbox_provider", "mailbox_provider", "Mailbox providers"),
    ("transport_id", "transport", "Transports"),
    ("stream_id", "stream", "Streams"),
    ("campaign_id", "campaign", "Campaigns"),
)
_ROWS: dict[str, Any] = {"transport_id": Transport, "stream_id": Stream, "campaign_id": Campaign}


@dataclass(frozen=True)
class Split:
    """The places of one sort, the commonest first."""

    title: str
    filter_name: str
    places: list[Place]
    others: int


def splits(found: QuerySet[SignatureCount]) -> list[Split]:
    """Return from where the replies of `found` came, by each sort of place."""
    rows = found.order_by().values_list(*(column for column, _, _ in PLACES))
    totals: dict[str, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
    for *values, n in rows.annotate(total=Sum("n")):
        for (column, _, _), value in zip(PLACES, values, strict=True):
            totals[column][value] += n
    return [_split(column, name, title, totals[column]) for column, name, title in PLACES]


def _split(column: str, filter_name: str, title: str, totals: dict[Any, int]) -> Split:
    ordered = sorted(totals.items(), key=lambda pair: (-pair[1], str(pair[0])))
    shown = [(value, n) for value, n in ordered[:TOP] if n]
    labels = _labels(column, [value for value, _ in shown])
    places = [Place(labels[value], "" if value is None else str(value), n) for value, n in shown]
    return Split(title, filter_name, places, sum(n for _, n in ordered[TOP:]))


def _labels(column: str, values: Iterable[Any]) -> dict[Any, str]:
    if column == "mailbox_provider":
        return {value: name_of(value) for value in values}
    ids = [value for value in values if value is not None]
    none = "Single messages" if column == "campaign_id" else "Not known"
    labels: dict[Any, str] = {None: none} | {pk: f"deleted ({pk})" for pk in ids}
    return labels | {row.pk: str(row) for row in _ROWS[column].objects.filter(pk__in=ids)}
