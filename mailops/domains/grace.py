"""Tells how long a domain's broken authentication is still put up with, and what averts the stop."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.utils import timezone

from mailops.domains.models import Domain, Finding
from mailops.lib.enumerating import enumerated


@dataclass(frozen=True)
class Grace:
    """A domain whose authentication is broken, and when bulk mail from it stops."""

    domain: Domain
    since_at: datetime
    ends_at: datetime
    findings: Sequence[Finding]

    @property
    def is_over(self) -> bool:
        return self.ends_at <= timezone.now()

    @property
    def has_stopped(self) -> bool:
        return self.domain.bulk_stopped_at is not None

    @cached_property
    def has_bulk(self) -> bool:
        """Whether anything stops: a bulk stream sends from the domain."""
        return any(stream.is_bulk for stream in self.domain.streams.all())

    @property
    def broken(self) -> str:
        """Name what is broken: "SPF and DKIM s1"."""
        return enumerated(dict.fromkeys(finding.label for finding in self.findings))


def grace_of(domain: Domain) -> Grace | None:
    """Return the grace of `domain`, which was read `with_grace`; None while it authenticates."""
    since_at: datetime | None = getattr(domain, "failing_since_at", None)
    ends_at: datetime | None = getattr(domain, "bulk_stops_at", None)
    if since_at is None or ends_at is None:
        return None
    findings = [finding for finding in domain.findings.all() if finding.breaks_bulk]
    findings.sort(key=lambda finding: finding.check_name)
    return Grace(domain, since_at, ends_at, findings) if findings else None
