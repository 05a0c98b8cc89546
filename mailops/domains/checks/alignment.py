"""Alignment: whether mail from the domain can pass DMARC, and by which leg (RFC 9989 section 4.4)."""

from collections.abc import Sequence

from mailops.domains.checks.dmarc import TreeWalk, walk_tree
from mailops.domains.checks.verdict import Problem, Verdict, verdict_of
from mailops.domains.models import CheckStatus
from mailops.lib.dns_answers import Asks

RFC = "RFC 9989 section 4.4"
WORKS = {CheckStatus.OK, CheckStatus.WARNING}


def is_aligned(walk: TreeWalk, other: str, asks: Asks, *, is_strict: bool) -> bool:
    """Tell whether `other`, a return-path host or a DKIM domain, is aligned with the header From's domain."""
    if other == walk.domain or is_strict:
        return other == walk.domain
    return walk_tree(other, asks).organizational_domain == walk.organizational_domain


def check_alignment(
    walk: TreeWalk,
    return_paths: Sequence[str],
    spf: dict[str, Verdict],
    dkim: Sequence[Verdict],
    asks: Asks,
) -> Verdict:
    """Check that a leg of DMARC holds; `spf` is by host, `dkim` are the verdicts of this domain's selectors."""
    record = walk.policy_step.record if walk.policy_step else None
    is_strict = record is not None and record.is_spf_strict
    aligned = [host for host in return_paths if is_aligned(walk, host, asks, is_strict=is_strict)]
    spf_verdicts = [spf[host] for host in aligned if host in spf]
    by_spf = len(aligned) == len(return_paths) and _all_work(spf_verdicts)
    by_dkim = _all_work(dkim)
    evidence = [
        f"From domain {walk.domain}, organizational domain {walk.organizational_domain}",
        *(
            f"Return path {host}: {'aligned' if host in aligned else 'not aligned'} ({'strict' if is_strict else 'relaxed'})"
            for host in return_paths
        ),
        *(f"{verdict.check}: {verdict.status.label}" for verdict in (*spf_verdicts, *dkim)),
    ]
    legs = [name for name, holds in (("SPF", by_spf), ("DKIM", by_dkim)) if holds]
    if legs:
        well = f"Mail from {walk.domain} can pass DMARC by {' and by '.join(legs)}."
        return verdict_of(
            "alignment", _lonely(by_dkim=by_dkim), well=well, rfc=RFC, evidence=evidence
        )
    if walk.failure or any(v.status is CheckStatus.UNKNOWN for v in (*spf_verdicts, *dkim)):
        return Verdict(
            check="alignment",
            status=CheckStatus.UNKNOWN,
            sentence="Whether mail can pass DMARC isn't known, since DNS could not be asked for everything.",
            rfc=RFC,
            evidence=tuple(evidence),
        )
    return verdict_of(
        "alignment", [_broken(walk.domain, aligned, dkim)], well="", rfc=RFC, evidence=evidence
    )


def _all_work(verdicts: Sequence[Verdict]) -> bool:
    return bool(verdicts) and all(verdict.status in WORKS for verdict in verdicts)


def _lonely(*, by_dkim: bool) -> list[Problem]:
    if by_dkim:
        return []  # DKIM alone is enough and survives forwarding
    return [
        Problem(
            CheckStatus.WARNING,
            "Mail passes DMARC only by SPF, which breaks when it is forwarded.",
            "Let the transport sign with a DKIM key of this domain, and name its selector here.",
        )
    ]


def _broken(domain: str, aligned: Sequence[str], dkim: Sequence[Verdict]) -> Problem:
    spf = (
        "SPF does not pass"
        if aligned
        else "the return path belongs to another domain, so SPF does not count"
    )
    signed = "no DKIM key works" if dkim else "no DKIM selector is known"
    fix = (
        "Mend the SPF record or the DKIM key below."
        if aligned or dkim
        else f"Name a DKIM selector of {domain}, or use a return path under it."
    )
    return Problem(
        CheckStatus.ERROR, f"Mail from {domain} can't pass DMARC: {spf}, and {signed}.", fix
    )
