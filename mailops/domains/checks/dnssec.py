"""DNSSEC: a zone that says it is signed must be, or validating resolvers see nothing of it (RFC 4035)."""

import dns.dnssec
import dns.dnssectypes
import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdtypes.ANY.DNSKEY

from mailops.domains.checks.verdict import Problem, Verdict, unanswered, verdict_of
from mailops.domains.models import CheckStatus
from mailops.lib.dns_answers import Answer, Asks, Status

RFC = "RFC 4035"


def check_dnssec(domain: str, asks: Asks, unchecked: Asks | None = None) -> Verdict:
    """Check that the zone of `domain`, where its parent vouches for keys, has them.

    `unchecked` asks for answers that fail validation: what only it is told is what receivers don't see.
    """
    zone = _zone_of(domain, asks)
    told = {rdtype: asks(zone, rdtype) for rdtype in ("SOA", "DS", "DNSKEY")}
    for rdtype, answer in told.items():
        if not answer.is_known:
            return _silent(zone, rdtype, answer, unchecked)
    delegation, keys = told["DS"], told["DNSKEY"]
    if not delegation.values:
        signed = "signed, but its parent does not say so" if keys.values else "not signed"
        well = f"The zone {zone} is {signed} (DNSSEC is optional)."
        return verdict_of("dnssec", [], well=well, rfc=RFC)
    evidence = [
        *(f"{zone} DS {value}" for value in delegation.values),
        *(f"{zone} DNSKEY {value}" for value in keys.values),
    ]
    problems = [] if _vouched_for(zone, delegation, keys) else [_unvouched(zone, keys)]
    well = f"The zone {zone} is signed, and its parent vouches for its key."
    return verdict_of("dnssec", problems, well=well, rfc=RFC, evidence=evidence)


def _zone_of(domain: str, asks: Asks) -> str:
    """Return the zone that holds `domain`; where DNS won't tell, as far as it told."""
    labels = domain.split(".")
    for start in range(len(labels) - 1):
        name = ".".join(labels[start:])
        answer = asks(name, "SOA")
        if answer.is_found or not answer.is_known:
            return name
    return domain


def _silent(zone: str, rdtype: str, answer: Answer, unchecked: Asks | None) -> Verdict:
    is_failing = answer.status is Status.SERVFAIL
    if is_failing and unchecked and unchecked(zone, rdtype).is_known:
        return _bogus(zone, answer)
    return unanswered("dnssec", f"the keys of {zone}", answer, rfc=RFC)


def _bogus(zone: str, silent: Answer) -> Verdict:
    problem = Problem(
        CheckStatus.ERROR,
        f"The signatures of {zone} don't hold (DNSSEC): receivers that validate see none of its records.",
        "Sign the zone anew at its DNS provider, or have the DS record removed at the registrar.",
    )
    return verdict_of("dnssec", [problem], well="", rfc=RFC, evidence=[silent.detail])


def _unvouched(zone: str, keys: Answer) -> Problem:
    what = "and none of its keys fits that" if keys.values else "and it has no key"
    return Problem(
        CheckStatus.ERROR,
        f"The parent of {zone} says that it is signed, {what}: receivers that validate see none of its records.",
        "Publish the DS that belongs to the zone's key at the registrar, or have the DS removed.",
    )


def _vouched_for(zone: str, delegation: Answer, keys: Answer) -> bool:
    name = dns.name.from_text(zone)
    return any(
        _digest(name, key, fields[2]) == [*fields[:3], "".join(fields[3:]).lower()]
        for fields in (value.split() for value in delegation.values)
        for key in keys.values
    )


def _digest(zone: dns.name.Name, key: str, kind: str) -> list[str]:
    """Return the fields of the DS that would vouch for `key`; none for a kind that isn't known."""
    try:
        rdata = dns.rdata.from_text(dns.rdataclass.IN, "DNSKEY", key)
        if not isinstance(rdata, dns.rdtypes.ANY.DNSKEY.DNSKEY):
            return []
        made = dns.dnssec.make_ds(
            zone, rdata, dns.dnssectypes.DSDigest.make(int(kind)), validating=True
        )
    except (dns.exception.DNSException, ValueError):
        return []
    return made.to_text().lower().split()
