"""Finds what ails beside the mail itself: domains and mailboxes that broke or can't be read, and webhooks that are silent."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import QuerySet

from mailops.domains.models import Domain, Finding
from mailops.feedback.models import Mailbox
from mailops.incidents.models import Incident, Level, Threshold
from mailops.incidents.reading import Reading
from mailops.reports.attention import (
    by_domain,
    causes_first,
    listed,
    what_breaks,
    what_is_unknown,
    what_is_unread,
)
from mailops.reports.moments import moment_of
from mailops.reports.unheard import WINDOW, unheard
from mailops.transports.models import Stream

UNREAD = timedelta(minutes=10)  # a server that restarts is back in less


def broken_domains() -> Iterator[Reading]:
    """Yield the domains with streams whose records were well and broke; what was never set up is nobody's alarm."""
    broken = by_domain(_of_senders(Finding.objects.broken_since_well().of_records()))
    domains = Domain.objects.with_grace().filter(pk__in=[domain.pk for domain in broken])
    for domain in domains.order_by("name").prefetch_related("findings", "streams"):
        findings = causes_first(broken[domain])
        yield Reading(
            domain,
            Level.ACT,
            f"{domain} was well and broke: {what_breaks(domain, findings)} {_streams_of(domain)}",
            min(finding.since_at for finding in findings),
            technical=_technical(findings),
        )


def listed_domains() -> Iterator[Reading]:
    """Yield the domains with streams that lists of senders of spam name by now, or what they send from."""
    findings = _of_senders(Finding.objects.broken_since_well().of_lists())
    for finding in findings.select_related("domain").order_by("domain__name"):
        domain = finding.domain
        yield Reading(
            domain,
            Level.ACT,
            f"{finding.sentence} Until it is off, that mail of {domain} does not arrive. {_streams_of(domain)}",
            finding.since_at,
            technical=_technical([finding]),
            to_do=finding.fix,
        )


def unanswered_domains(now: datetime) -> Iterator[Reading]:
    """Yield the domains with streams of which DNS tells nothing for long."""
    for domain, findings in by_domain(_of_senders(Finding.objects.unanswered(now))).items():
        since = min(finding.unanswered_since_at for finding in findings)
        told = (finding.unknown_sentence or finding.sentence for finding in findings)
        yield Reading(
            domain,
            Level.WARN,
            f"DNS tells nothing of {domain}, since {moment_of(since)}. {what_is_unknown(findings)} {_streams_of(domain)}",
            since,
            technical="\n".join(dict.fromkeys(told)),
        )


def unread_mailboxes(now: datetime) -> Iterator[Reading]:
    """Yield the mailboxes that can't be read for a while: their bounces are not heard."""
    lasting = Mailbox.objects.broken().filter(failures__gt=0, failing_since_at__lte=now - UNREAD)
    for mailbox in lasting.order_by("name"):
        since = mailbox.failing_since_at or now
        sentence = (
            f"Mailbox {mailbox} can't be read, since {moment_of(since)}. {what_is_unread(mailbox)}"
        )
        yield Reading(mailbox, Level.ACT, sentence, since, technical=mailbox.detail)


def silent_webhooks(threshold: Threshold, now: datetime) -> Iterator[Reading]:
    """Yield the transports with a webhook whose provider took mail and tells nothing of it.

    What a person closed is mail that they judged: what was accepted since counts.
    """
    closed = Incident.objects.filter(threshold=threshold, closed_at__gt=now - WINDOW)
    judged = closed.closed_by_people().last_closes()
    for one in unheard(now, least=threshold.sample_floor, judged=judged):
        if one.endpoint is None:
            continue  # the overview shows it: what was never set up is nobody's alarm
        streams = list(Stream.objects.using_transport(one.transport).order_by("name"))
        hurt = f" Its streams: {listed(streams)}." if streams else ""
        level = Level.ACT if one.is_certain else Level.WARN
        yield Reading(
            one.transport,
            level,
            f"{one.sentence}{hurt}",
            one.since,
            technical=one.technical,
            to_do=one.to_do,
        )


def _of_senders(findings: QuerySet[Finding]) -> QuerySet[Finding]:
    """Keep those of domains with streams, whose names come along."""
    sending = findings.filter(domain__in=Stream.objects.values("domain"))
    return sending.prefetch_related("domain__streams")


def _streams_of(domain: Domain) -> str:
    names = sorted(str(stream) for stream in domain.streams.all())
    return f"Its streams: {', '.join(names)}."


def _technical(findings: list[Finding]) -> str:
    return "\n\n".join(
        f"{finding.label}: {finding.sentence} {finding.fix}\n{finding.technical_text}".strip()
        for finding in findings
    )
