"""Checks a domain: asks DNS for everything it should publish, then writes down what was seen and what it means."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from mailops.accounts.auditing import audit
from mailops.accounts.models import User
from mailops.domains.checks.verdict import Verdict
from mailops.domains.examining import Examination, examine, worst
from mailops.domains.expected import expectations_of
from mailops.domains.models import (
    BY_SCHEDULE,
    NOT_OURS_TO_KNOW,
    CheckStatus,
    Domain,
    Finding,
    FindingChange,
)
from mailops.domains.observing import observe
from mailops.lib.database_away import is_away
from mailops.lib.dns_answers import Asks
from mailops.lib.resolver import resolve

logger = logging.getLogger(__name__)

AT_ONCE = 4  # domains asked for side by side, each with many questions
SOONEST = timedelta(minutes=15)  # after a change, which may be one of several
# slower the longer all is well, up to this; sooner while somebody may be mending it
RECHECK_AFTER = {
    CheckStatus.OK: timedelta(hours=1),
    CheckStatus.WARNING: timedelta(hours=1),
    CheckStatus.ERROR: timedelta(minutes=15),
    CheckStatus.UNKNOWN: timedelta(minutes=5),
}


def check_domain(
    domain: Domain, *, asks: Asks = resolve, actor: User | None = None
) -> list[Finding]:
    """Check `domain` now and return its findings; a resolver that fails leaves what was known standing."""
    return _keep(domain, examine(expectations_of(domain), asks), actor)


def _keep(domain: Domain, examination: Examination, actor: User | None = None) -> list[Finding]:
    """Write down what one look at DNS gave, and when to look again."""
    now = timezone.now()
    with transaction.atomic():
        domain = Domain.objects.select_for_update().get(pk=domain.pk)
        noticed_by = actor.email if actor else BY_SCHEDULE
        is_changed = observe(
            domain,
            examination.seen,
            now=now,
            noticed_by=noticed_by,
            differences=examination.differences if examination.asked_authority else None,
        )
        findings = _write(domain, examination, now, noticed_by)
        is_changed |= domain.finding_changes.from_known().filter(at__gte=Now()).exists()
        domain.changed_at = now if is_changed else domain.changed_at
        if examination.facts.is_whole:
            domain.dmarc_facts = examination.facts.as_values()
        _settle(domain, findings, now)
        if actor:
            audit(
                actor=actor, verb="domain.verify", subject=domain, after={"status": domain.status}
            )
    return findings


def _write(
    domain: Domain, examination: Examination, now: datetime, noticed_by: str
) -> list[Finding]:
    known = {finding.check_name: finding for finding in domain.findings.all()}
    verdicts = [*examination.verdicts, *_unasked(known, examination)]
    findings = [_write_one(domain, known.pop(v.check, None), v, now, noticed_by) for v in verdicts]
    domain.findings.filter(check_name__in=known).delete()  # nothing of ours needs them any more
    return findings


def _unasked(known: Iterable[str], examination: Examination) -> Iterator[Verdict]:
    """Yield a verdict for each known finding whose subject may be gone, or may only not have been told of."""
    looked_at = {verdict.check for verdict in examination.verdicts}
    for check in known:
        if check.partition(":")[0] in examination.silent_kinds and check not in looked_at:
            yield Verdict(
                check=check,
                status=CheckStatus.UNKNOWN,
                sentence="DNS could not be asked which addresses send for the domain.",
            )


def _write_one(
    domain: Domain, finding: Finding | None, verdict: Verdict, now: datetime, noticed_by: str
) -> Finding:
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
            noticed_by=noticed_by,
        )
    finding.status, finding.sentence, finding.fix = verdict.status, verdict.sentence, verdict.fix
    finding.rfc, finding.evidence, finding.checked_at = verdict.rfc, list(verdict.evidence), now
    finding.unknown_since_at, finding.unknown_sentence = None, ""
    finding.save()
    return finding


def _settle(domain: Domain, findings: Sequence[Finding], now: datetime) -> None:
    """Write the domain's status, the worst of its findings, and when to look again."""
    status = worst((finding.check_name, CheckStatus(finding.status)) for finding in findings)
    is_silent = any(
        finding.is_stale or finding.status == CheckStatus.UNKNOWN
        for finding in findings
        if finding.check_name not in NOT_OURS_TO_KNOW
    )
    if status is not CheckStatus.ERROR:
        domain.broken_since_at = None
    elif domain.broken_since_at is None:
        domain.broken_since_at = now
    domain.status, domain.checked_at = status, now
    longest = RECHECK_AFTER[CheckStatus.UNKNOWN if is_silent else status]
    quiet_for = now - domain.changed_at if domain.changed_at else longest
    domain.next_check_at = now + min(longest, max(SOONEST, quiet_for))
    domain.save(
        update_fields=[
            "status",
            "checked_at",
            "next_check_at",
            "broken_since_at",
            "dmarc_facts",
            "changed_at",
        ]
    )


def check_due_domains(*, until: datetime) -> int:
    """Check the domains whose time has come, the longest due first, until `until`; return how many.

    Some are asked for side by side, so that silent name servers of one keep no other waiting. Their threads only ask
    DNS; all that concerns the database is done here.
    """
    checked = 0
    asking: dict[Future[Examination], Domain] = {}
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="domain") as pool:
        while True:
            while len(asking) < AT_ONCE and timezone.now() < until and (domain := _claim()):
                with _apart_from_others(domain):
                    asking[pool.submit(examine, expectations_of(domain))] = domain
            if not asking:
                return checked
            for future in wait(asking, return_when=FIRST_COMPLETED).done:
                domain = asking.pop(future)
                with _apart_from_others(domain):
                    _keep(domain, future.result())
                    checked += 1


def _claim() -> Domain | None:
    """Return the domain that is due for longest, which nobody else checks then; None where there is none."""
    while domain := Domain.objects.due().order_by(F("next_check_at").asc(nulls_first=True)).first():
        # set ahead first: a check that fails for a reason of its own must not keep the others waiting
        is_ours = Domain.objects.filter(pk=domain.pk, next_check_at=domain.next_check_at).update(
            next_check_at=Now() + RECHECK_AFTER[CheckStatus.UNKNOWN]
        )
        if is_ours:
            return domain
    return None


@contextmanager
def _apart_from_others(domain: Domain) -> Iterator[None]:
    try:
        yield
    except Domain.DoesNotExist:
        logger.info("%s was deleted while it was checked", domain)
    except Exception as error:
        if is_away(error):
            raise  # the next tick comes to all of them
        logger.exception("%s could not be checked", domain)
        _note_failure(domain, error)


def _note_failure(domain: Domain, error: Exception) -> None:
    """Tell of each finding that nothing new is known: one that is not looked at anew must not pass for well for ever."""
    findings = domain.findings.exclude(status=CheckStatus.UNKNOWN)
    findings.filter(unknown_since_at=None).update(unknown_since_at=Now())
    findings.update(
        unknown_sentence=f"mailops could not read what was answered ({type(error).__name__}): its log says more."
    )
