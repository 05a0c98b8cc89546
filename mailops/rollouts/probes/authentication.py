"""Probes of the sender's domain: its checks, and the alignment of mail that was really captured."""

from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone

from mailops.domains.models import NOT_OURS_TO_KNOW, CheckStatus, Domain, Finding
from mailops.domains.proving import Sign
from mailops.protocol.alignment import Result
from mailops.rollouts.captured import newest_of_stream
from mailops.rollouts.mail_probing import verdict_on
from mailops.rollouts.probes.proof import Proof
from mailops.sandbox.models import CapturedMessage
from mailops.transports.models import Stream

KNOWN_FOR = timedelta(hours=24)
LOOK = "Open the domain's page and mend what it names."


def authentication(stream: Stream) -> Proof:
    """Check that the domain's checks hold and that the newest captured mail of `stream` is aligned."""
    domain = stream.domain
    findings = list(domain.findings.worst_first())
    data: dict[str, object] = {finding.label: finding.status for finding in findings}
    unknown = [finding for finding in findings if not _is_known_enough(finding)]
    if not findings or unknown:
        what = ", ".join(finding.label for finding in unknown)
        return Proof(
            is_ok=None,
            sentence=f"DNS has not told about {what} for a day."
            if unknown
            else f"{domain} was not checked yet.",
            fix="Open the domain's page and press “Verify now”.",
            data=data,
        )
    captured = newest_of_stream(stream)
    problems = [*_broken(findings), *_misaligned(domain, captured)]
    data["captured message"] = captured.pk if captured else None
    seen = "the newest captured mail passes DMARC" if captured else "alignment was computed"
    well = f"The checks of {domain} hold, and {seen}."
    return Proof.over(problems, well=well, data=data)


def _is_known_enough(finding: Finding) -> bool:
    if finding.check_name in NOT_OURS_TO_KNOW:
        return True
    is_recent = finding.checked_at > timezone.now() - KNOWN_FOR
    return is_recent and finding.status != CheckStatus.UNKNOWN


def _broken(findings: list[Finding]) -> Iterator[tuple[str, str]]:
    for finding in findings:
        if finding.status == CheckStatus.ERROR:
            yield f"{finding.label}: {finding.sentence}", finding.fix or LOOK


def _misaligned(domain: Domain, captured: CapturedMessage | None) -> Iterator[tuple[str, str]]:
    """Yield why what was captured would not pass at a receiver."""
    if captured is None:
        return
    header_domain = captured.header_from.rpartition("@")[2].strip("<> ").lower()
    if header_domain != domain.name:
        yield (
            f"The newest captured mail says it is from {header_domain}.",
            f"Use an identity of {domain}.",
        )
    verdict = verdict_on(captured)
    if verdict.result == Result.FAIL:
        signs = "; ".join(_told(sign) for sign in verdict.signs)
        yield (
            f"The newest captured mail fails DMARC: {signs or verdict.sentence}.",
            f"Use a return path under {domain} whose SPF lets the transport in, or let the transport sign with a key of {domain}.",
        )


def _told(sign: Sign) -> str:
    aligned = "aligned" if sign.is_aligned else "not aligned"
    return f"{sign.name} of {sign.domain}: {sign.result}, {aligned}"


def active_domains(stream: Stream) -> Proof:  # noqa: ARG001 - the whole installation's domains
    """Check that every domain a stream sends from is checked by schedule, and that none is broken."""
    domains = Domain.objects.filter(streams__isnull=False).distinct().order_by("name")
    return Proof.over(
        (problem for domain in domains for problem in _inactive(domain)),
        well="Every domain in use is checked by schedule, and none is broken.",
        data={domain.name: domain.status for domain in domains},
    )


def _inactive(domain: Domain) -> Iterator[tuple[str, str]]:
    if domain.checked_at is None or domain.checked_at < timezone.now() - KNOWN_FOR:
        yield f"{domain} was not checked for a day.", "See that the beat process runs."
    elif domain.is_broken:
        yield f"{domain} is broken.", LOOK
