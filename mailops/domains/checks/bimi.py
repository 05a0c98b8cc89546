"""BIMI: the logo beside a message, which takes a DMARC policy that is enforced (draft-brand-indicators-for-message-identification)."""

from collections.abc import Iterator

from mailops.domains.checks.dmarc import TreeWalk
from mailops.domains.checks.verdict import (
    Problem,
    Seen,
    Verdict,
    seen_if_any,
    several,
    unanswered,
    verdict_of,
)
from mailops.domains.models import CheckStatus, DnsRecord
from mailops.lib.dns_answers import Asks
from mailops.protocol.dns_records import read_tags

RFC = "BIMI (draft-brand-indicators)"


def check_bimi(walk: TreeWalk, asks: Asks) -> tuple[Verdict, Seen]:
    """Check the record of the default selector, where there is one, at the domain or its organizational domain."""
    for domain in dict.fromkeys((walk.domain, walk.organizational_domain)):
        host = f"default._bimi.{domain}"
        answer = asks(host, "TXT")
        records = [value for value in answer.values if value.lower().startswith("v=bimi")]
        seen = seen_if_any(DnsRecord.Purpose.BIMI, host, answer, records)
        if not answer.is_known:
            return unanswered("bimi", host, answer, rfc=RFC), seen
        if records:
            problems = list(_problems(host, records, walk))
            well = f"The record at {host} can be used."
            return verdict_of("bimi", problems, well=well, rfc=RFC, evidence=records), seen
    well = f"{walk.domain} publishes no logo (BIMI), which is optional."
    return verdict_of("bimi", [], well=well, rfc=RFC), seen


def _problems(host: str, records: list[str], walk: TreeWalk) -> Iterator[Problem]:
    if len(records) > 1:
        yield several(host, records, what="BIMI", who="receivers", status=CheckStatus.WARNING)
        return
    pairs, problems = read_tags(records[0])
    tags = dict(pairs)
    if pairs[:1] != [("v", "BIMI1")]:
        problems.append("it does not begin with “v=BIMI1;”")
    if "l" not in tags:
        problems.append("it names no logo (l)")
    problems += [
        f"“{tags[tag][:80]}” in {tag} is not an https address"
        for tag in ("l", "a")
        if tags.get(tag) and not tags[tag].lower().startswith("https://")
    ]
    for problem in problems:
        yield Problem(
            CheckStatus.WARNING,
            f"The record at {host} can't be used: {problem}.",
            "Correct the record.",
        )
    if tags.get("l") and walk.applied_policy not in {"quarantine", "reject"}:
        yield Problem(
            CheckStatus.WARNING,
            "The logo is not shown while the DMARC policy isn't enforced.",
            "Set the DMARC policy to quarantine or reject, without t=y.",
        )
