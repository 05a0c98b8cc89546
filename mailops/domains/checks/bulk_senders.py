"""What Gmail, Yahoo and Microsoft demand of bulk senders, as far as DNS can show it, in one finding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailops.domains.checks.verdict import Problem, Verdict, verdict_of
from mailops.domains.models import CheckStatus

RFC = "Sender rules of Gmail, Yahoo and Microsoft"


@dataclass(frozen=True)
class _Demand:
    words: str
    checks: tuple[Verdict, ...]

    @property
    def unmet(self) -> list[Verdict]:
        return [verdict for verdict in self.checks if verdict.status is CheckStatus.ERROR]

    @property
    def is_unknown(self) -> bool:
        return any(verdict.status is CheckStatus.UNKNOWN for verdict in self.checks)


def check_bulk_senders(domain: str, verdicts: Sequence[Verdict]) -> Verdict:
    """Check the demands by the `verdicts` of the other checks."""
    demands = [
        _Demand("SPF that passes", _of(verdicts, "spf")),
        _Demand("DKIM signatures of at least 1024 bits", _of(verdicts, "dkim")),
        _Demand("a DMARC policy", _of(verdicts, "dmarc")),
        _Demand("a From domain that is aligned", _of(verdicts, "alignment")),
        _Demand("sending addresses with a name that leads back", _of(verdicts, "ptr")),
    ]
    asked = [demand for demand in demands if demand.checks]
    problems = list(_problems(asked))
    evidence = [f"{demand.words}: {_state(demand)}" for demand in demands]
    evidence.append("one-click unsubscribe, TLS and few complaints: seen in mail, not in DNS")
    if not problems and any(demand.is_unknown for demand in asked):
        return Verdict(
            check="bulk_senders",
            status=CheckStatus.UNKNOWN,
            sentence="Whether bulk mail is taken isn't known, since DNS could not be asked for everything.",
            rfc=RFC,
            evidence=tuple(evidence),
        )
    well = f"{domain} publishes what Gmail, Yahoo and Microsoft demand of bulk senders."
    return verdict_of("bulk_senders", problems, well=well, rfc=RFC, evidence=evidence)


def _of(verdicts: Sequence[Verdict], kind: str) -> tuple[Verdict, ...]:
    return tuple(verdict for verdict in verdicts if verdict.check.partition(":")[0] == kind)


def _problems(demands: Sequence[_Demand]) -> Iterator[Problem]:
    unmet = [demand for demand in demands if demand.unmet]
    if unmet:
        yield Problem(
            CheckStatus.ERROR,
            f"Gmail, Yahoo and Microsoft turn bulk mail away without {' and '.join(demand.words for demand in unmet)}.",
            "Mend what the other checks name.",
        )
    nameless = [
        verdict for demand in demands for verdict in demand.checks if verdict.check == "dkim"
    ]
    if nameless and not unmet:
        yield Problem(
            CheckStatus.WARNING,
            "Gmail, Yahoo and Microsoft demand DKIM of bulk senders, and no key is known here.",
            "Name the selector your transport signs with.",
        )
    weak = [
        verdict
        for demand in demands
        for verdict in demand.checks
        if verdict.check.startswith("ptr:") and verdict.status is CheckStatus.WARNING
    ]
    if weak:
        yield Problem(
            CheckStatus.WARNING,
            "Gmail, Yahoo and Microsoft refuse mail from addresses without a name that leads back.",
            "Mend the reverse DNS that the other checks name.",
        )


def _state(demand: _Demand) -> str:
    if not demand.checks:
        return "nothing to look at"
    if demand.unmet:
        return "not met"
    return "not known" if demand.is_unknown else "met"
