"""Writes down what sender domains must publish because of the transports their streams use."""

from collections.abc import Iterable

from django.conf import settings
from django.db import transaction

from mailops.domains.expected import TRANSPORT
from mailops.domains.models import Domain, Requirement
from mailops.transports.models import Stream, Transport


@transaction.atomic
def require_records(domains: Iterable[Domain]) -> None:
    """Make the requirements that transports have of each of `domains` those of its streams' routes now."""
    for domain in domains:
        routed = Transport.objects.filter(routes__stream__domain=domain).distinct()
        wanted = {row for transport in routed for row in _rows(transport)}
        known = Requirement.objects.filter(domain=domain, needed_by__startswith=TRANSPORT)
        for requirement in known:
            row = (requirement.kind, requirement.host, requirement.value, requirement.needed_by)
            if row not in wanted:
                requirement.delete()
        Requirement.objects.bulk_create(
            [
                Requirement(domain=domain, kind=kind, host=host, value=value, needed_by=needed_by)
                for kind, host, value, needed_by in sorted(wanted)
            ],
            ignore_conflicts=True,
        )
        domain.recheck_soon()


def domains_of(transport: Transport) -> list[Domain]:
    """Return the domains whose streams may use `transport`."""
    return list(
        Domain.objects.filter(streams__in=Stream.objects.using_transport(transport)).distinct()
    )


def way_name(transport: Transport) -> str:
    """Return what requirements of `transport` are known by."""
    return f"{TRANSPORT}{transport.name}"[:100]


def _rows(transport: Transport) -> list[tuple[str, str, str, str]]:
    needed_by = way_name(transport)
    kinds, options = Requirement.Kind, transport.options
    rows = [(kinds.DKIM_SELECTOR, name, "") for name in options.get("dkim_selectors", [])]
    if transport.return_path_host or transport.kind == Transport.Kind.SMTP:
        host = transport.return_path_host or settings.MAILOPS_RETURN_PATH_HOST
        rows.append((kinds.RETURN_PATH, host.lower(), ""))
    signed = Requirement.SIGNED_HERE if transport.is_signed_here else Requirement.SIGNED_THERE
    rows.append((kinds.SENDS, "", signed))
    if include := options.get("spf_include"):
        rows.append((kinds.SPF_INCLUDE, "", include))
    return [(str(kind), host, value, needed_by) for kind, host, value in rows]
