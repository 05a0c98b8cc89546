"""Keeps DMARC and TLS reports, and says by them who sends in a domain's name and whether it may go to p=reject."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Case, Count, Max, Min, Q, Sum, When
from django.db.models.functions import Now

from mailops.domains.models import Domain
from mailops.feedback.models import AggregateReport, RawFeedback, ReportedSource
from mailops.lib.daily_counts import DailyCounts
from mailops.protocol.aggregate_report import DmarcReport, TlsReport
from mailops.transports.models import Transport

WINDOW = timedelta(days=30)
LEAST_MESSAGES = 100
LEAST_DAYS = 14
STRANGERS = 0.02  # more mail than this from unknown senders is looked at before it is refused
SHOWN = 50
# senders that are kept of what comes in on one domain within a day: anybody may report, and a mail of some KB names 20,000
MOST_OF_DAY = 200_000
# What a receiver lets through although it fails, because it was passed on: it fails by its way, not by its sender.
PASSED_ON = ("forwarded", "mailing_list", "trusted_forwarder")


@dataclass(frozen=True, kw_only=True)
class Sender:
    """One address that sent in the domain's name, over the window."""

    source_ip: str
    spf_domain: str
    dkim_domain: str
    total: int
    passing: int
    way: str  # the transport it is known as, or empty

    @property
    def fails(self) -> int:
        return self.total - self.passing

    @property
    def is_ours(self) -> bool:
        return bool(self.way)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    domain: Domain
    is_safe: bool
    because: list[str]
    total: int
    passing: int
    reporters: int
    senders: list[Sender]


_kept_today = DailyCounts()  # by the domain


def has_room_for(report: DmarcReport | TlsReport) -> bool:
    """Return whether what a report tells may be kept today; then it is counted."""
    rows = 1 + (len(report.sources) if isinstance(report, DmarcReport) else 0)
    if _kept_today.of(report.domain) + rows > MOST_OF_DAY:
        return False
    _kept_today.add(report.domain, rows)
    return True


def keep_report(report: DmarcReport | TlsReport, row: RawFeedback) -> None:
    """Keep what a receiver tells of a domain of ours, once however often it tells it."""
    is_dmarc = isinstance(report, DmarcReport)
    kept, is_new = AggregateReport.objects.get_or_create(
        kind=AggregateReport.Kind.DMARC if is_dmarc else AggregateReport.Kind.TLS,
        domain=Domain.objects.get(name=report.domain),
        organization=report.organization,
        report_id=report.report_id,
        defaults={
            "begins_at": report.begins_at,
            "ends_at": report.ends_at,
            "raw": row,
            **(_of_tls(report) if isinstance(report, TlsReport) else {"policy": report.policy}),
        },
    )
    if is_new and isinstance(report, DmarcReport):
        ReportedSource.objects.bulk_create(_sources_of(report, kept), batch_size=1000)


def verdict_of(domain: Domain) -> Verdict:
    """Return whether the domain is safe at p=reject by the reports of the last month, and why or why not."""
    told = ReportedSource.objects.filter(
        report__domain=domain,
        report__kind=AggregateReport.Kind.DMARC,
        report__ends_at__gt=Now() - WINDOW,
    ).exclude(passes=False, override__in=PASSED_ON)
    ways = _ways()
    is_ours = Q(spf_domain__in=ways) | Q(dkim_domain=domain.name)
    sums = told.aggregate(
        total=Sum("count", default=0),
        passing=Sum("count", filter=Q(passes=True), default=0),
        strange=Sum("count", filter=Q(passes=False) & ~is_ours, default=0),
        reporters=Count("report__organization", distinct=True),
        first=Min("report__begins_at"),
        last=Max("report__ends_at"),
    )
    senders = _senders(told.annotate(is_ours=Case(When(is_ours, then=True), default=False)), ways)
    against = _against(sums, senders)
    because = against or [
        f"All your own mail passes, and {sums['passing']:,} of {sums['total']:,} messages did."
    ]
    return Verdict(
        domain=domain,
        is_safe=not against,
        because=because,
        total=sums["total"],
        passing=sums["passing"],
        reporters=sums["reporters"],
        senders=senders,
    )


def _against(sums: dict[str, Any], senders: list[Sender]) -> list[str]:
    """Return what speaks against p=reject, a sentence each."""
    if not sums["total"]:
        return [
            "No DMARC report has come in for 30 days: let rua= name an address at the return-path host."
        ]
    found = [
        f"{one.fails:,} of {one.total:,} messages from {one.source_ip} ({one.way}) are yours and fail."
        for one in senders
        if one.is_ours and one.fails
    ]
    if sums["strange"] > STRANGERS * sums["total"]:
        found.append(
            f"{sums['strange']:,} messages come from senders nobody here knows: find out whether they are yours first."
        )
    if sums["total"] < LEAST_MESSAGES:
        found.append(f"Only {sums['total']:,} messages were reported; wait for {LEAST_MESSAGES}.")
    days = (sums["last"] - sums["first"]).days if sums["first"] else 0
    if days < LEAST_DAYS:
        found.append(f"The reports span {days} days; wait for {LEAST_DAYS}.")
    return found


def _senders(told: Any, ways: dict[str, str]) -> list[Sender]:
    """Return who sends: ours that fail, then whose mail fails most, then who sends most."""
    columns = ("source_ip", "spf_domain", "dkim_domain")
    fails = Sum("count", filter=Q(passes=False), default=0)
    rows = (
        told.values(*columns, "is_ours")
        .annotate(total=Sum("count"), fails=fails)
        .order_by(
            Case(When(is_ours=True, fails__gt=0, then=0), default=1), "-fails", "-total", *columns
        )
    )
    return [_sender(row, ways) for row in rows[:SHOWN]]


def _sender(row: dict[str, Any], ways: dict[str, str]) -> Sender:
    """Say as what a sender is known: the transport of its envelope's domain, or one that signs as the domain."""
    known = "signed as this domain" if row.pop("is_ours") else ""
    passing = row["total"] - row.pop("fails")
    return Sender(**row, passing=passing, way=ways.get(row["spf_domain"], known))


def _ways() -> dict[str, str]:
    ways = {settings.MAILOPS_RETURN_PATH_HOST.lower(): "our return-path host"}
    named = Transport.objects.exclude(return_path_host="").values_list("return_path_host", "name")
    return ways | {host.lower(): name for host, name in named}


def _of_tls(report: TlsReport) -> dict[str, Any]:
    return {
        "succeeded": report.succeeded,
        "failed": report.failed,
        "failures": list(report.failures),
    }


def _sources_of(report: DmarcReport, kept: AggregateReport) -> list[ReportedSource]:
    return [
        ReportedSource(
            report=kept,
            source_ip=one.source_ip,
            count=one.count,
            passes=one.dkim_aligned or one.spf_aligned,
            dkim_aligned=one.dkim_aligned,
            spf_aligned=one.spf_aligned,
            disposition=one.disposition,
            override=one.override,
            header_from=one.header_from,
            dkim_domain=one.dkim_domain,
            dkim_selector=one.dkim_selector,
            spf_domain=one.spf_domain,
        )
        for one in report.sources
    ]
