"""Finds what a report's numbers hang on: of a stream its transports and its domain, and so on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import CharField, Model, Q, QuerySet
from django.db.models.functions import Cast

from mailops.campaigns.models import Campaign
from mailops.content.models import MailTemplate, TemplateVersion
from mailops.domains.models import Domain, SigningKey
from mailops.reports.models import Figure
from mailops.transports.models import Credential, ProviderLimit, Stream, Transport

_CHOSEN = {
    "stream_id": "pk",
    "transport_id": "routes__transport",
    "domain_id": "domain",
    "campaign_id": "campaigns",
}


@dataclass(frozen=True)
class Related:
    """What may move the numbers of a report; each a query, none of them run by itself."""

    streams: QuerySet[Stream]
    transports: QuerySet[Transport]
    domains: QuerySet[Domain]
    campaigns: QuerySet[Campaign]
    templates: QuerySet[MailTemplate]
    provider: str = ""

    @property
    def subjects(self) -> Q:
        """Keep audit entries of these things, and of what concerns all mail."""
        credentials = Credential.objects.filter(transport__in=self.transports)
        keys = SigningKey.objects.filter(domain__in=self.domains)
        limits = ProviderLimit.objects.all()
        if self.provider:
            limits = limits.filter(mailbox_provider=self.provider)
        found = Q(subject_type="")
        for rows in (
            self.streams, self.transports, self.domains, self.campaigns, self.templates,
            credentials, keys, limits,
        ):  # fmt: skip
            found |= Q(subject_type=rows.model._meta.label, subject_id__in=_as_text(rows))  # noqa: SLF001 - Django's documented name
        return found


def related(choices: Mapping[str, Any]) -> Related | None:
    """Return what hangs together with all of `choices`; None where nothing is chosen."""
    if not any(choices.get(column) for column in (*_CHOSEN, "mailbox_provider")):
        return None
    streams = Stream.objects.all()
    for column, path in _CHOSEN.items():
        if value := choices.get(column):
            streams = streams.filter(**{path: value})
    transports = Transport.objects.filter(routes__stream__in=streams)
    domains = Domain.objects.filter(pk__in=streams.values("domain"))
    campaigns = Campaign.objects.filter(stream__in=streams)
    if transport := choices.get("transport_id"):
        transports = Transport.objects.filter(pk=transport)
    if domain := choices.get("domain_id"):
        domains = Domain.objects.filter(pk=domain)
    if campaign := choices.get("campaign_id"):
        campaigns = Campaign.objects.filter(pk=campaign)
    templates = _used(campaigns, streams, alone=not choices.get("campaign_id"))
    provider = str(choices.get("mailbox_provider") or "")
    return Related(streams, transports, domains, campaigns, templates, provider)


def _used(
    campaigns: QuerySet[Campaign], streams: QuerySet[Stream], *, alone: bool
) -> QuerySet[MailTemplate]:
    """Return the templates of `campaigns`, and those of the streams' single messages where such count `alone`, too.

    The counts of statuses tell those: one row for each status, stream, campaign and version, however many messages.
    """
    versions = TemplateVersion.objects.filter(pk__in=campaigns.values("version"))
    if alone:
        single = Figure.objects.statuses().filter(
            campaign_id=None, stream_id__in=streams.values("pk")
        )
        versions |= TemplateVersion.objects.filter(pk__in=single.values("version_id"))
    return MailTemplate.objects.filter(pk__in=versions.values("template"))


def _as_text(rows: "QuerySet[Any, Model]") -> "QuerySet[Any, Any]":
    keys: QuerySet[Any, Any] = rows.order_by().annotate(key=Cast("pk", CharField())).values("key")
    return keys
