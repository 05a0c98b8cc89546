"""The charts of every report, in the order in which one looks at them: the one table of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from mailops.lib.templatetags.times import duration
from mailops.lib.templatetags.words import reason_word
from mailops.outbox.models import EventKind
from mailops.protocol.classification import Fault
from mailops.reports.charting import BEFORE, Chart, Line, said
from mailops.reports.counting import fault_of
from mailops.reports.gathering import ByReason, Numbers
from mailops.reports.latencies import Histogram, Which
from mailops.reports.outcomes import Outcome, Thresholds
from mailops.reports.sampling import Waiting

REASONS = 6  # drawn; more colors can't be told apart

FAULT_WORDS = {
    Fault.RECIPIENT: "The recipient's",
    Fault.MESSAGE: "The message's",
    Fault.AUTHENTICATION: "Our authentication",
    Fault.REPUTATION: "Our reputation",
    Fault.SETUP: "Our set-up",
    Fault.OUTAGE: "Their outage",
    Fault.UNKNOWN: "Not said",
}


def volume(numbers: Numbers) -> Chart:
    sums: list[tuple[str, str, Callable[[Outcome], int]]] = [
        ("Accepted", "ok", lambda o: o.stayed),
        ("Bounced", "bad", lambda o: o.all_bounced),
        ("Failed", "warn", lambda o: o.failed),
        ("Expired", "", lambda o: o.expired),
        ("Uncertain", "", lambda o: o.uncertain),
    ]
    lines = [Line(name, [of(o) for o in numbers.now], tone) for name, tone, of in sums]
    before = [sum(of(o) for _, _, of in sums) for o in numbers.before]
    return Chart(
        "volume", "Volume", numbers.period,
        [*(line for line in lines if line.tone or not line.is_empty), _before(before)],
        kind="bar",
        summary=f"{numbers.total.answered:,} answered" + _told_before(numbers, f"{numbers.total_before.answered:,}"),
        empty="How much left and what became of it: accepted, bounced, failed.",
    )  # fmt: skip


def acceptance(numbers: Numbers) -> Chart:
    return _rate(
        "acceptance", "Acceptance", "Accepted", numbers,
        lambda o: (o.accepted, o.answered), tone="ok", top=100,
        empty="The share of answered mail that the next server took.",
    )  # fmt: skip


def bounces(numbers: Numbers) -> Chart:
    return _rate(
        "bounces", "Bounce rate", "Bounced", numbers, lambda o: (o.all_bounced, o.answered),
        thresholds=numbers.limits.bounces, empty="The share that bounced, against its thresholds.",
    )  # fmt: skip


def complaints(numbers: Numbers) -> Chart:
    return _rate(
        "complaints", "Complaint rate", "Complained", numbers,
        lambda o: (o.complained, o.accepted), thresholds=numbers.limits.complaints,
        empty="The share that recipients called unwanted. It needs a feedback loop or a provider's webhook.",
    )  # fmt: skip


def reasons(numbers: Numbers) -> Chart:
    lines = _largest(numbers.refusals, reason_word)
    return Chart(
        "reasons", "Bounces and failures, by reason", numbers.period, lines, kind="bar",
        summary=_leading(lines), empty="Nothing bounced or failed. Why mail does, as the replies say it.",
    )  # fmt: skip


def faults(numbers: Numbers) -> Chart:
    by_fault: dict[Fault, list[int]] = {}
    for reason, values in numbers.refusals.items():
        fault = fault_of(reason)
        by_fault[fault] = [a + b for a, b in zip(by_fault.get(fault, [0] * len(values)), values, strict=True)]  # fmt: skip
    lines = [Line(FAULT_WORDS[fault], by_fault[fault]) for fault in Fault if fault in by_fault]
    return Chart(
        "faults", "Bounces and failures, by whose fault", numbers.period, lines, kind="bar",
        summary=_leading(lines),
        empty="Nothing bounced or failed. Whose fault it is: only the recipient's suppresses an address.",
    )  # fmt: skip


def deferrals(numbers: Numbers) -> Chart:
    lines = _largest(numbers.deferrals, reason_word)
    before = [o.deferred for o in numbers.before]
    return Chart(
        "deferrals", "Deferrals, by reason", numbers.period,
        [*lines, _before(before)] if lines else [],
        kind="bar",
        summary=f"{numbers.total.deferred:,}" + _told_before(numbers, f"{numbers.total_before.deferred:,}"),
        empty="Nothing was put off. Refusals for now, after which a message is tried again.",
    )  # fmt: skip


def time_to_accept(numbers: Numbers) -> Chart:
    return _times(
        "time_to_accept", "Time to accept", numbers, Which.ACCEPT, thresholds=numbers.limits.to_accept,
        empty="How long it takes from the moment a message is owed until the next server has it, retries and all.",
    )  # fmt: skip


def time_to_deliver(numbers: Numbers) -> Chart:
    return _times(
        "time_to_deliver", "Time to deliver", numbers, Which.DELIVER,
        empty="How long it takes from there until the final server confirms it, where a provider or a report says so.",
    )  # fmt: skip


def opens(numbers: Numbers) -> Chart:
    return _looks("opens", "Opened", EventKind.OPENED, numbers)


def clicks(numbers: Numbers) -> Chart:
    return _looks("clicks", "Clicked", EventKind.CLICKED, numbers)


def queue_depth(numbers: Numbers) -> Chart:
    lines = [
        Line("Most that waited", [_if_seen(w, w.most) for w in numbers.queue]),
        Line("On average", [_if_seen(w, round(w.mean_depth, 1)) for w in numbers.queue]),
        Line("Held for a person", [_if_seen(w, w.most_held) for w in numbers.queue], "warn"),
    ]
    most = max((waiting.most for waiting in numbers.queue), default=0)
    return Chart(
        "queue_depth", "Queue depth", numbers.period, lines if numbers.queue else [],
        summary=f"At most {most:,} waited",
        empty="How many messages wait, looked at every 15 seconds. A queue is a stream's, not a mailbox provider's.",
    )  # fmt: skip


def queue_age(numbers: Numbers) -> Chart:
    lines = [
        Line("Oldest due message", [_if_seen(w, w.oldest) for w in numbers.queue]),
        Line("On average", [_if_seen(w, round(w.mean_age, 1)) for w in numbers.queue]),
    ]
    oldest = max((waiting.oldest for waiting in numbers.queue), default=0)
    return Chart(
        "queue_age", "Queue age", numbers.period, lines if numbers.queue else [], "seconds",
        summary=f"The oldest due message had waited {duration(oldest)}",
        empty="How long the oldest message has been due. Where it grows, mail is stuck or sent too slowly.",
    )  # fmt: skip


def _if_seen(waiting: Waiting, value: float) -> float | None:
    return value if waiting.samples else None


CHARTS: Mapping[str, Callable[[Numbers], Chart]] = {
    chart.__name__: chart
    for chart in (
        volume, bounces, acceptance, reasons, faults, complaints, deferrals, time_to_accept,
        time_to_deliver, opens, clicks, queue_depth, queue_age,
    )
}  # fmt: skip
SHORT = ("volume", "bounces", "time_to_accept", "queue_age")  # of a panel


def draw(numbers: Numbers, keys: Iterable[str] = CHARTS) -> list[Chart]:
    charts = [CHARTS[key](numbers) for key in keys]
    return charts if numbers.is_compared else [_alone(chart) for chart in charts]


def _alone(chart: Chart) -> Chart:
    return replace(chart, lines=[line for line in chart.lines if not line.is_before])


# in this order, so that who has no line takes no color from the others: mail programs follow no links
WHO = {"": "People", "machine": "Scanners", "mail_program": "Mail programs, maybe people"}


def _looks(key: str, title: str, kind: EventKind, numbers: Numbers) -> Chart:
    found = numbers.looks.get(kind, {})
    lines = [Line(name, found[reason]) for reason, name in WHO.items() if reason in found]
    people, accepted = sum(found.get("", ())), numbers.total.accepted
    summary = f"By people {said(_percent(people, accepted))} · {people:,} of {accepted:,}"
    # without words for its being empty: where nobody asked for looks, none are shown
    return Chart(key, title, numbers.period, lines, kind="bar", summary=summary if accepted else "")


def _rate(
    key: str,
    title: str,
    name: str,
    numbers: Numbers,
    of: Callable[[Outcome], tuple[int, int]],
    *,
    thresholds: Thresholds = (),
    empty: str,
    tone: str = "",
    top: float | None = None,
) -> Chart:
    counts = [of(outcome) for outcome in numbers.now]
    lines = [
        Line(name, [_percent(*pair) for pair in counts], tone, counts),
        _before([_percent(*of(outcome)) for outcome in numbers.before]),
    ]
    part, whole = of(numbers.total)
    summary = f"{said(_percent(part, whole))} · {part:,} of {whole:,}" if whole else ""
    before = _percent(*of(numbers.total_before))
    if summary and before is not None:
        summary += _told_before(numbers, said(before))
    return Chart(
        key, title, numbers.period, lines, "percent", empty=empty, summary=summary,
        thresholds=thresholds, top=top,
    )  # fmt: skip


def _times(
    key: str,
    title: str,
    numbers: Numbers,
    which: Which,
    *,
    empty: str,
    thresholds: Thresholds = (),
) -> Chart:
    now, before = numbers.took(which)
    lines = [
        Line("Median", [one.percentile(50) for one in now]),
        Line("95th percentile", [one.percentile(95) for one in now]),
        Line(f"Median, {BEFORE[0].lower()}{BEFORE[1:]}", [one.percentile(50) for one in before], is_before=True),
    ]  # fmt: skip
    whole = Histogram.sum(now)
    summary = (
        f"Median {said(whole.percentile(50), 'seconds')}, 95 % within {said(whole.percentile(95), 'seconds')},"
        f" of {whole.total:,}"
    )
    return Chart(
        key, title, numbers.period, lines, "seconds", empty=empty, summary=summary, thresholds=thresholds,
        is_log=True,
    )  # fmt: skip


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 4) if whole else None


def _told_before(numbers: Numbers, value: str) -> str:
    return f", {value} in the period before" if numbers.is_compared else ""


def _before(values: Sequence[float | None]) -> Line:
    return Line(BEFORE, values, is_before=True)


def _largest(by_reason: ByReason, word: Callable[[str], str]) -> list[Line]:
    """Return a line for each of the commonest reasons, and one for all others."""
    shown = list(by_reason.items())
    rest = shown[REASONS:] if len(shown) > REASONS + 1 else []
    lines = [Line(word(reason), values) for reason, values in shown[: len(shown) - len(rest)]]
    if rest:
        others = [sum(step) for step in zip(*(values for _, values in rest), strict=True)]
        lines.append(Line(f"Others ({len(rest)})", others))
    return lines


def _leading(lines: Sequence[Line]) -> str:
    sums = sorted(((sum(v or 0 for v in line.values), line.name) for line in lines), reverse=True)
    whole = sum(n for n, _ in sums)
    return f"Mostly {sums[0][1].lower()}: {sums[0][0]:,.0f} of {whole:,.0f}" if whole else ""
