"""Alignment: whether mail from the domain can pass DMARC, and by which leg (RFC 9989 section 4.4)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from mailops.domains.checks.dmarc import TreeWalk, walk_tree
from mailops.domains.checks.verdict import Problem, Verdict, verdict_of
from mailops.domains.expected import TRANSPORT, Way
from mailops.domains.models import CheckStatus
from mailops.lib.dns_answers import Asks
from mailops.protocol.alignment import (
    Alignment,
    Author,
    Identifier,
    Leg,
    Result,
    align,
    change_to_make,
)

RFC = "RFC 9989 section 4.4"
WORKS = {CheckStatus.OK: True, CheckStatus.WARNING: True, CheckStatus.ERROR: False}


@dataclass(frozen=True)
class Facts:
    """What alignment rests on beside the records themselves; kept on the domain."""

    organizations: Mapping[str, str] = field(default_factory=dict)  # host → its organization
    is_spf_strict: bool = False
    is_dkim_strict: bool = False
    policy: str = ""  # in force; empty: none is published
    # False: DNS didn't answer, and only the very same domain is known to be aligned
    is_whole: bool = True

    @classmethod
    def kept(cls, values: Mapping[str, Any]) -> Self:
        return cls(**values)

    def as_values(self) -> dict[str, Any]:
        return asdict(self)


def facts_of(walk: TreeWalk, ways: Sequence[Way], asks: Asks) -> Facts:
    """Return what `walk` found, and whose the return paths are."""
    if walk.failure:
        return Facts(is_whole=False)
    record = walk.policy_step.record if walk.policy_step else None
    hosts = {way.return_path for way in ways if way.return_path} - {walk.domain}
    walks = {host: walk_tree(host, asks) for host in hosts}
    return Facts(
        organizations={walk.domain: walk.organizational_domain}
        | {host: "" if its.failure else its.organizational_domain for host, its in walks.items()},
        is_spf_strict=record is not None and record.is_spf_strict,
        is_dkim_strict=record is not None and record.is_dkim_strict,
        policy=walk.effective_policy,
    )


def align_way(
    domain: str, way: Way, facts: Facts, works: Callable[[str], bool | None]
) -> Alignment:
    """Return what DMARC makes of mail that leaves by `way`; `works` tells of a check by its name."""
    whose = facts.organizations
    author = Author(domain, whose.get(domain, ""), facts.is_spf_strict, facts.is_dkim_strict)
    envelope = None
    if host := way.return_path:
        check = "spf" if host == domain else f"spf:{host}"
        envelope = Identifier(host, whose.get(host, ""), works(check), host)
    signatures = [
        Identifier(domain, author.organization, works(f"dkim:{name}"), name)
        for name in way.selectors
    ]
    return align(author, envelope, signatures)


def check_alignment(
    domain: str, ways: Sequence[Way], facts: Facts, verdicts: Mapping[str, Verdict]
) -> Verdict:
    """Check that mail passes DMARC whichever way it leaves; `verdicts` are those of SPF and DKIM, by check."""

    def works(check: str) -> bool | None:
        return WORKS.get(verdicts[check].status) if check in verdicts else None

    found = {way: align_way(domain, way, facts, works) for way in ways}
    evidence = [
        f"From domain {domain}, organizational domain {facts.organizations.get(domain, 'not known')}",
        *(line for way, alignment in found.items() for line in _lines(way, alignment)),
    ]
    results = {alignment.result for alignment in found.values()}
    is_open = Result.UNKNOWN in results and Result.FAIL not in results
    if is_open or (not facts.is_whole and results != {Result.PASS}):
        return _unknown(evidence)
    problems = [problem for way, one in found.items() if (problem := _problem(domain, way, one))]
    legs = sorted({leg for one in found.values() for leg in one.passes_by}, reverse=True)
    well = f"Mail from {domain} passes DMARC by {' and by '.join(legs)}."
    return verdict_of("alignment", problems, well=well, rfc=RFC, evidence=evidence)


def _unknown(evidence: Sequence[str]) -> Verdict:
    return Verdict(
        check="alignment",
        status=CheckStatus.UNKNOWN,
        sentence="Whether mail can pass DMARC isn't known, since DNS could not be asked for everything.",
        rfc=RFC,
        evidence=tuple(evidence),
    )


def _lines(way: Way, alignment: Alignment) -> list[str]:
    return [_line(way, leg) for leg in alignment.legs] or [f"{_short(way)}: neither leg is there"]


def _short(way: Way) -> str:
    return way.name.removeprefix(TRANSPORT)


def _line(way: Way, leg: Leg) -> str:
    what = "return path" if leg.name == "SPF" else "DKIM key"
    mode = "strict" if leg.is_strict else "relaxed"
    state = "aligned" if leg.is_aligned else "not aligned"
    works = {True: "works", False: "does not work", None: "not known"}[leg.identifier.works]
    return f"{_short(way)}, {what} {leg.identifier.label}: {state} ({mode}), {works}"


def _problem(domain: str, way: Way, alignment: Alignment) -> Problem | None:
    change = change_to_make(alignment, signs_here=way.signs_here, named=way.selectors_named)
    through = f" through {_short(way)}" if way.name.startswith(TRANSPORT) else ""
    if alignment.result is Result.FAIL:
        why = " and ".join(
            leg.sentence
            for leg in alignment.legs
            if not leg.is_aligned or leg.identifier.works is False
        )
        unsigned = "" if alignment.dkim else "it carries no signature of the domain"
        reasons = ", and ".join(filter(None, [why, unsigned]))
        return Problem(
            CheckStatus.ERROR, f"Mail from {domain}{through} can't pass DMARC: {reasons}.", change
        )
    if alignment.passes_by == ("SPF",):
        return Problem(
            CheckStatus.WARNING,
            f"Mail from {domain}{through} passes DMARC only by SPF, which breaks when it is forwarded.",
            change.removeprefix("Only SPF holds, and it breaks when mail is forwarded. "),
        )
    return None
