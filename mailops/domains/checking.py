"""Checks a domain: asks DNS for everything it should publish, then writes down what was seen and what it means."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.domains.checks.alignment import check_alignment
from mailops.domains.checks.dkim import check_dkim
from mailops.domains.checks.dmarc import check_dmarc, walk_tree
from mailops.domains.checks.exchange import check_mx, check_return_path
from mailops.domains.checks.spf import check_spf
from mailops.domains.checks.verdict import Problem, Seen, Verdict, verdict_of
from mailops.domains.expected import Expectations, expectations_of
from mailops.domains.models import SEVERITY, CheckStatus, Domain, Finding, FindingChange
from mailops.domains.observing import observe
from mailops.lib.dns_answers import Asks
from mailops.lib.resolver import Memo, resolve

# slower while all is well, sooner while somebody may be mending it
RECHECK_AFTER = {
    CheckStatus.OK: timedelta(hours=6),
    CheckStatus.WARNING: timedelta(hours=6),
    CheckStatus.ERROR: timedelta(minutes=15),
    CheckStatus.UNKNOWN: timedelta(minutes=5),
}


@dataclass(frozen=True)
class Examination:
    """What one look at DNS gave, the most important finding last to none."""

    verdicts: tuple[Verdict, ...]
    seen: tuple[Seen, ...]

    @property
    def status(self) -> CheckStatus:
        return worst(verdict.status for verdict in self.verdicts)


def worst(statuses: Iterable[CheckStatus]) -> CheckStatus:
    """Return the most serious of `statuses`; not known when there is none."""
    return max(statuses, key=lambda status: SEVERITY[status], default=CheckStatus.UNKNOWN)


def examine(expected: Expectations, asks: Asks) -> Examination:
    """Look at all that `expected` names, through `asks`; touches no database."""
    asks = Memo(asks)
    walk = walk_tree(expected.domain, asks)
    dmarc = check_dmarc(
        walk, asks, least=expected.least_policy, needed_by=expected.policy_needed_by
    )
    spf = {
        item.host: check_spf(
            item.host,
            item.needs,
            asks,
            check="spf" if item.host == expected.domain else f"spf:{item.host}",
            needed_by=item.needed_by,
        )
        for item in expected.spf
    }
    dkim = [
        check_dkim(expected.domain, item.name, item.record, asks, needed_by=item.needed_by)
        for item in expected.selectors
    ]
    paths = [
        check_return_path(item.host, item.exchange, asks, needed_by=item.needed_by)
        for item in expected.return_paths
    ]
    alignment = check_alignment(
        walk,
        [path.host for path in expected.return_paths],
        {host: verdict for host, (verdict, _) in spf.items()},
        [verdict for verdict, _ in dkim],
        asks,
    )
    looks = [*spf.values(), *dkim, dmarc, *paths, check_mx(expected.domain, asks)]
    unsigned = [] if dkim else [_no_selector(expected.domain)]
    return Examination(
        verdicts=(alignment, *unsigned, *(verdict for verdict, _ in looks)),
        seen=tuple(seen for _, seen in looks),
    )


def _no_selector(domain: str) -> Verdict:
    problem = Problem(
        CheckStatus.WARNING,
        f"No DKIM selector is named for {domain}, so no key can be checked; Gmail and Yahoo demand DKIM of bulk senders.",
        "Name the selector your transport signs with, under “Also expect”.",
    )
    return verdict_of("dkim", [problem], well="", rfc="RFC 6376")


def check_domain(
    domain: Domain, *, asks: Asks = resolve, actor: User | None = None
) -> list[Finding]:
    """Check `domain` now and return its findings; a resolver that fails leaves what was known standing."""
    examination = examine(expectations_of(domain), asks)
    now = timezone.now()
    with transaction.atomic():
        domain = Domain.objects.select_for_update().get(pk=domain.pk)
        observe(domain, examination.seen, now=now)
        findings = _write(domain, examination.verdicts, now)
        _settle(domain, findings, now)
        if actor:
            audit(
                actor=actor, verb="domain.verify", subject=domain, after={"status": domain.status}
            )
    return findings


def _write(domain: Domain, verdicts: Sequence[Verdict], now: datetime) -> list[Finding]:
    known = {finding.check_name: finding for finding in domain.findings.all()}
    findings = [_write_one(domain, known.pop(v.check, None), v, now) for v in verdicts]
    domain.findings.filter(check_name__in=known).delete()  # nothing of ours needs them any more
    return findings


def _write_one(domain: Domain, finding: Finding | None, verdict: Verdict, now: datetime) -> Finding:
    if finding and verdict.status is CheckStatus.UNKNOWN and finding.status != CheckStatus.UNKNOWN:
        finding.unknown_since_at = finding.unknown_since_at or now
        finding.unknown_sentence = " ".join([verdict.sentence, *verdict.evidence])
        finding.save(update_fields=["unknown_since_at", "unknown_sentence"])
        return finding
    before = finding.status if finding else CheckStatus.UNKNOWN
    finding = finding or Finding(domain=domain, check_name=verdict.check, since_at=now)
    if before != verdict.status:
        finding.since_at = now
        FindingChange.objects.create(
            domain=domain,
            check_name=verdict.check,
            before=before,
            after=verdict.status,
            sentence=verdict.sentence,
        )
    finding.status, finding.sentence, finding.fix = verdict.status, verdict.sentence, verdict.fix
    finding.rfc, finding.evidence, finding.checked_at = verdict.rfc, list(verdict.evidence), now
    finding.unknown_since_at, finding.unknown_sentence = None, ""
    finding.save()
    return finding


def _settle(domain: Domain, findings: Sequence[Finding], now: datetime) -> None:
    """Write the domain's status, the worst of its findings, and when to look again."""
    status = worst(CheckStatus(finding.status) for finding in findings)
    is_silent = any(
        finding.is_stale or finding.status == CheckStatus.UNKNOWN for finding in findings
    )
    if status is not CheckStatus.ERROR:
        domain.broken_since_at = None
    elif domain.broken_since_at is None:
        domain.broken_since_at = now
    domain.status, domain.checked_at = status, now
    domain.next_check_at = now + RECHECK_AFTER[CheckStatus.UNKNOWN if is_silent else status]
    domain.save(update_fields=["status", "checked_at", "next_check_at", "broken_since_at"])


def check_due_domains(*, until: datetime) -> int:
    """Check the domains whose time has come, the longest due first, until `until`; return how many."""
    checked = 0
    while timezone.now() < until:
        domain = Domain.objects.due().order_by(F("next_check_at").asc(nulls_first=True)).first()
        if domain is None:
            break
        # set ahead first: a check that fails for a reason of its own must not keep the others waiting
        is_ours = Domain.objects.filter(pk=domain.pk, next_check_at=domain.next_check_at).update(
            next_check_at=Now() + RECHECK_AFTER[CheckStatus.UNKNOWN]
        )
        if is_ours:
            check_domain(domain)
            checked += 1
    return checked
