"""What a check says, before it is written down."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailops.domains.models import SEVERITY, CheckStatus, DnsRecord
from mailops.lib.dns_answers import Answer

MOST_TOLD = 12  # problems of one check; a record may be made of nothing else
MOST_LETTERS = 600  # of what one of them says; what it quotes may be 64 KB long


@dataclass(frozen=True, kw_only=True)
class Verdict:
    check: str
    status: CheckStatus
    sentence: str
    fix: str = ""
    rfc: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A record that was looked for, what DNS showed, and what should stand there."""

    purpose: DnsRecord.Purpose
    host: str
    rtype: str
    answer: Answer
    values: tuple[str, ...]  # those of `answer` that serve this purpose
    to_publish: str
    needed_by: str = ""
    is_optional: bool = False  # nothing is wrong where it is not there

    @property
    def state(self) -> DnsRecord.State:
        if not self.answer.is_known:
            return DnsRecord.State.UNKNOWN
        if not self.values:
            return DnsRecord.State.MATCHES if self.is_optional else DnsRecord.State.MISSING
        is_there = self.to_publish in self.values if self.to_publish else True
        is_alone = self.rtype != "TXT" or len(self.values) == 1
        return DnsRecord.State.MATCHES if is_there and is_alone else DnsRecord.State.DIFFERS


def seen_if_any(
    purpose: DnsRecord.Purpose, host: str, answer: Answer, values: Iterable[str]
) -> Seen:
    """Return what was seen of a TXT record that needn't be there."""
    return Seen(
        purpose=purpose,
        host=host,
        rtype="TXT",
        answer=answer,
        values=tuple(values),
        to_publish="",
        is_optional=True,
    )


@dataclass(frozen=True)
class Problem:
    """One thing wrong; the worst of a check's problems is what the check says."""

    status: CheckStatus
    sentence: str
    fix: str = ""


def several(
    host: str, records: Sequence[str], *, what: str, who: str, status: CheckStatus
) -> Problem:
    """Return what is wrong where only one of `records` may stand, of which then none counts."""
    return Problem(
        status,
        f"{host} has {len(records)} {what} records; {who} then use none of them.",
        "Delete all but one.",
    )


def verdict_of(
    check: str,
    problems: Iterable[Problem],
    *,
    well: str,
    rfc: str,
    evidence: Iterable[str] = (),
) -> Verdict:
    """Return the verdict over `problems`, the worst first; `well` is the sentence when there is none."""
    ranked = sorted(problems, key=lambda problem: -SEVERITY[problem.status])
    if not ranked:
        return Verdict(
            check=check, status=CheckStatus.OK, sentence=well, rfc=rfc, evidence=tuple(evidence)
        )
    sentences = list(dict.fromkeys(_short(problem.sentence) for problem in ranked))
    more = len(sentences) - MOST_TOLD
    fixes = dict.fromkeys(problem.fix for problem in ranked[:MOST_TOLD] if problem.fix)
    return Verdict(
        check=check,
        status=ranked[0].status,
        sentence=" ".join([*sentences[:MOST_TOLD], *([f"And {more} more."] if more > 0 else [])]),
        fix=" ".join(fixes),
        rfc=rfc,
        evidence=tuple(evidence),
    )


def _short(sentence: str) -> str:
    """Return `sentence`, of a long one its beginning and its end: what it quotes stands in the midst of it."""
    if len(sentence) <= MOST_LETTERS:
        return sentence
    half = MOST_LETTERS // 2
    return f"{sentence[:half]}…{sentence[-half:]}"


def unanswered(check: str, name: str, answer: Answer, *, rfc: str = "") -> Verdict:
    """Return the verdict of a check whose question DNS didn't answer: nothing is concluded."""
    return Verdict(
        check=check,
        status=CheckStatus.UNKNOWN,
        sentence=f"DNS could not be asked for {name}: this says nothing about the record itself.",
        fix="Nothing has to be changed at the domain; look at the name servers mailops asks, and check again.",
        rfc=rfc,
        evidence=(answer.detail,),
    )
