"""Which incidents concern what a page is about."""

from collections.abc import Callable
from typing import Any

from django.db.models import Q, QuerySet

from mailops.campaigns.models import Campaign
from mailops.incidents.models import SubjectKind
from mailops.reports.subjects import Subject
from mailops.transports.models import Route, Stream


def concerning(subject: Subject) -> Q:
    """Keep the incidents of what a page is about, and of what may stop its mail or is stopped with it."""
    return _CONCERNS[subject.sort.column](subject)


def of_domain(domain_id: int) -> Q:
    """Keep the incidents of a domain, of its streams and of their campaigns."""
    streams = Stream.objects.filter(domain=domain_id).values("pk")
    campaigns = Campaign.objects.filter(stream__domain=domain_id).values("pk")
    return (
        _about(SubjectKind.DOMAIN, [domain_id])
        | _about(SubjectKind.STREAM, streams)
        | _about(SubjectKind.CAMPAIGN, campaigns)
    )


def _of_campaign(subject: Subject) -> Q:
    """Keep its own, and those of its stream and domain as long as its numbers move; what stops its transports it tells itself."""
    own = _about(SubjectKind.CAMPAIGN, [subject.value])
    if subject.is_over:
        return own
    stream = subject.row.stream
    return (
        own
        | _about(SubjectKind.STREAM, [stream.pk])
        | _about(SubjectKind.DOMAIN, [stream.domain_id])
    )


def _of_stream(subject: Subject) -> Q:
    """Keep its own, those of its domain and of the transports it uses, and those of its campaigns, which may pause it."""
    transports = Route.objects.filter(stream=subject.value).values("transport")
    campaigns = Campaign.objects.filter(stream=subject.value).values("pk")
    return (
        _about(SubjectKind.STREAM, [subject.value])
        | _about(SubjectKind.DOMAIN, [subject.row.domain_id])
        | _about(SubjectKind.TRANSPORT, transports)
        | _about(SubjectKind.CAMPAIGN, campaigns)
    )


def _about(kind: SubjectKind, ids: "QuerySet[Any, Any] | list[int]") -> Q:
    return Q(subject_kind=kind, subject_id__in=ids)


_CONCERNS: dict[str, Callable[[Subject], Q]] = {
    "campaign_id": _of_campaign,
    "stream_id": _of_stream,
    "transport_id": lambda subject: _about(SubjectKind.TRANSPORT, [subject.value]),
    "domain_id": lambda subject: of_domain(subject.value),
    # nothing is measured by provider: those whose evidence names it
    "mailbox_provider": lambda subject: Q(evidence__providers__contains=[{"name": subject.value}]),
}
