"""Sender domains: the records we expect, what DNS shows, how that changed, and the keys that sign."""

from mailops.domains.models.domain import (
    BY_SCHEDULE,
    SEVERITY,
    CheckStatus,
    DnsObservation,
    DnsRecord,
    Domain,
    DomainQuerySet,
    Finding,
    FindingChange,
    Identity,
    Requirement,
)
from mailops.domains.models.signing import SigningKey

__all__ = [
    "BY_SCHEDULE",
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
