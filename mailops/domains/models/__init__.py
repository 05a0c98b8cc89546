"""Sender domains: the records we expect, what DNS shows, how that changed, and the keys that sign."""

from mailops.domains.models.domain import Domain, DomainQuerySet, Identity, Requirement
from mailops.domains.models.finding import Finding, FindingChange
from mailops.domains.models.record import DnsObservation, DnsRecord
from mailops.domains.models.signing import SigningKey
from mailops.domains.models.status import (
    BY_SCHEDULE,
    NOT_OURS_TO_KNOW,
    SEVERITY,
    CheckStatus,
)

__all__ = [
    "BY_SCHEDULE",
    "NOT_OURS_TO_KNOW",
    "SEVERITY",
    "CheckStatus",
    "DnsObservation",
    "DnsRecord",
    "Domain",
    "DomainQuerySet",
    "Finding",
    "FindingChange",
    "Identity",
    "Requirement",
    "SigningKey",
]
