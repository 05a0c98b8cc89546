"""DNSSEC: the chain of trust from the root to the domain's records, or what validating receivers don't see (RFC 4035)."""

from collections.abc import Callable, Iterable, Sequence
from time import monotonic

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.CNAME

from mailops.domains.checks.verdict import Problem, Verdict, verdict_of
from mailops.domains.models import CheckStatus
from mailops.lib.dns_answers import Asks, Status
from mailops.lib.signed_answers import SignedAnswer
from mailops.protocol.dnssec import (
    DS,
    VOUCH,
    Absence,
    Bogus,
    Keys,
    SignedSet,
    keys_vouched_for,
    moment,
    shown,
    usable,
    why_no_ds,
)

CNAME = dns.rdtypes.ANY.CNAME.CNAME
RFC = "RFC 4035"
MAX_ALIASES = 4  # followed; keys are often kept by the provider who signs

AsksSigned = Callable[[dns.name.Name, str], SignedAnswer]
Anchors = dict[dns.name.Name, list[DS]]


class _Silent(Exception):
    """What the chain needs could not be asked for: nothing is concluded."""


def read_anchors(lines: Iterable[str]) -> Anchors:
    """Return the keys that are trusted to begin with, by zone; each line is a zone and the data of a DS record."""
    anchors: Anchors = {}
    for line in lines:
        zone, data = line.split(maxsplit=1)
        rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.DS, data)
        if isinstance(rdata, DS):
            anchors.setdefault(dns.name.from_text(zone), []).append(rdata)
    return anchors


class Chain:
    """The zones from a trust anchor downwards, each vouched for by the one above."""

    def __init__(
        self,
        domain: dns.name.Name,
        asks: AsksSigned,
        anchors: Anchors,
        *,
        now: float,
        seconds: float,
    ) -> None:
        above = [zone for zone in anchors if domain.is_subdomain(zone)]
        self.start = max(above, key=len, default=dns.name.root)
        self.is_adrift = not above  # no anchor is there to begin with
        self.at = self.start  # where it was last looked
        self.unknown_algorithms: dns.name.Name | None = None
        self.lines: list[str] = []
        self._asks, self._anchor, self._now = asks, anchors.get(self.start, []), now
        self._ends_at = monotonic() + seconds
        self._known: dict[dns.name.Name, Keys | None] = {}

    def keys_of(self, name: dns.name.Name) -> Keys | None:
        """Return the keys of the zone that holds `name`, None where it is unsigned; raise Bogus or _Silent."""
        if name not in self._known:
            if name == self.start:
                self._known[name] = self._begin()
            else:
                above = self.keys_of(name.parent())
                is_to_follow = above is not None or self.is_adrift
                self._known[name] = self._step(name, above) if is_to_follow else None
        return self._known[name]

    def verify(self, name: dns.name.Name, rdtype: str) -> None:
        """Look whether what stands at `name`, if anything does, is signed as it must be; raise Bogus or _Silent."""
        for _ in range(MAX_ALIASES):
            keys = self.keys_of(name)
            if keys is None:
                return
            self.at = keys.zone
            answer = self._ask(name, rdtype)
            if found := answer.records or answer.alias:
                self._note(found, keys)
            target = _target(answer.alias, name)
            if target is None or not target.is_subdomain(self.start):
                return
            name = target

    def shows_keys(self, zone: dns.name.Name) -> bool:
        """Tell whether `zone` has keys, whoever vouches for them; raise _Silent."""
        return self._ask(zone, "DNSKEY").records is not None

    def _note(self, signed: SignedSet, keys: Keys) -> None:
        signature = keys.verify(signed, self._now)
        self.lines.append(
            f"{signed}: signed by key {signature.key_tag} of {shown(keys.zone)}, holds until {moment(signature.expiration)}"
        )

    def _ask(self, name: dns.name.Name, rdtype: str) -> SignedAnswer:
        if monotonic() > self._ends_at:
            raise _Silent("Not asked: the time for this check was over.")
        answer = self._asks(name, rdtype)
        is_refused = self.is_adrift and answer.status is Status.REFUSED  # a name it does not serve
        if not answer.is_known and not is_refused:
            raise _Silent(f"{rdtype} of {shown(name)}: {answer.detail}")
        return answer

    def _begin(self) -> Keys | None:
        """Return the anchor's keys; where name servers show nothing of it, there is only what stands below."""
        if self.is_adrift:
            return None
        self.is_adrift = True
        shown_keys = self._ask(self.start, "DNSKEY").records
        if shown_keys is None:
            self.lines.append(f"The name servers asked show no key of {shown(self.start)}.")
            return None
        self.is_adrift = False
        if not shown_keys.signatures:
            raise _Silent("The name servers asked leave out signatures, so they can't be verified.")
        try:
            keys = keys_vouched_for(self.start, usable(self._anchor), shown_keys, self._now)
        except Bogus as problem:
            raise _Silent(
                f"The trust anchor does not hold for what they show: {problem}."
            ) from problem
        self._note(shown_keys, keys)
        return keys

    def _step(self, name: dns.name.Name, above: Keys | None) -> Keys | None:
        """Return the keys of the zone that holds `name`, which `above` holds if it is no zone of its own."""
        self.at = name
        answer = self._ask(name, "DS")
        if answer.records is None:
            return self._without_ds(name, answer, above) if above else None
        if above:
            self._note(answer.records, above)
        delegation = usable(answer.records.records)
        if not delegation:
            self.unknown_algorithms = name
            return None
        shown_keys = self._ask(name, "DNSKEY").records
        if shown_keys is None:
            raise Bogus(
                f"the parent of {shown(name)} vouches for a key, and it shows none (DNSKEY)", VOUCH
            )
        keys = keys_vouched_for(name, delegation, shown_keys, self._now)
        self._note(shown_keys, keys)
        return keys

    def _without_ds(self, name: dns.name.Name, answer: SignedAnswer, above: Keys) -> Keys | None:
        if answer.alias:
            above.verify(answer.alias, self._now)
            return above
        if why_no_ds(name, answer.proofs, above, self._now) is not Absence.UNSIGNED:
            return above
        self.lines.append(
            f"{shown(above.zone)} delegates {shown(name)} without a DS, and signs that."
        )
        return None


def _target(alias: SignedSet | None, name: dns.name.Name) -> dns.name.Name | None:
    """Return where a CNAME at `name` leads."""
    if alias is None or alias.name != name:
        return None
    record = alias.records[0]
    return record.target if isinstance(record, CNAME) else None


def check_dnssec(
    domain: str,
    asks: Asks,
    signed: AsksSigned,
    *,
    anchors: Anchors,
    now: float,
    selectors: Sequence[str] = (),
    seconds: float = 15,
) -> Verdict:
    """Follow the chain of trust from one of `anchors` to what `domain` publishes; `signed` asks without others' validation."""
    name = dns.name.from_text(domain)
    chain = Chain(name, signed, anchors, now=now, seconds=seconds)
    authority = asks(domain, "SOA")
    if authority.status is Status.TIMEOUT:
        return _indeterminate(domain, chain, authority.detail)
    zone = _zone_of(domain, asks)
    try:
        keys = chain.keys_of(name)
        if keys is None:
            return _unsigned(zone, chain)
        chain.verify(keys.zone, "SOA")
        for host, rdtype in _published(domain, selectors):
            chain.verify(dns.name.from_text(host), rdtype)
    except Bogus as problem:
        return _bogus(domain, zone, chain, problem)
    except _Silent as silence:
        return _indeterminate(zone, chain, str(silence))
    return verdict_of("dnssec", [], well=_well(keys, chain), rfc=RFC, evidence=chain.lines)


def _published(domain: str, selectors: Sequence[str]) -> list[tuple[str, str]]:
    """Return what receivers of its mail ask for."""
    keys = [(f"{selector}._domainkey.{domain}", "TXT") for selector in selectors]
    return [(domain, "MX"), (domain, "TXT"), (f"_dmarc.{domain}", "TXT"), *keys]


def _zone_of(domain: str, asks: Asks) -> str:
    """Return the zone that holds `domain`; where DNS won't tell, as far as it told."""
    labels = domain.split(".")
    for start in range(len(labels) - 1):
        name = ".".join(labels[start:])
        answer = asks(name, "SOA")
        if answer.is_found or not answer.is_known:
            return name
    return domain


def _well(keys: Keys, chain: Chain) -> str:
    zone = shown(keys.zone)
    if chain.is_adrift:
        return f"The zone {zone} is signed, and its parent vouches for its key; what vouches for the parent can't be seen from here."
    return f"The zone {zone} is signed, and the chain of trust from {shown(chain.start)} to its records holds."


def _unsigned(zone: str, chain: Chain) -> Verdict:
    if chain.unknown_algorithms:
        problem = Problem(
            CheckStatus.WARNING,
            f"The zone {shown(chain.unknown_algorithms)} is signed by algorithms alone that validators don't know, so it counts as unsigned.",
            "Have it signed by ECDSA P-256 (13) or Ed25519 (15), which RFC 8624 recommends.",
        )
        return verdict_of("dnssec", [problem], well="", rfc=RFC, evidence=chain.lines)
    try:
        has_keys = chain.shows_keys(dns.name.from_text(zone))
    except _Silent as silence:
        return _indeterminate(zone, chain, str(silence))
    signed = "signed, but its parent does not say so" if has_keys else "not signed"
    well = f"The zone {zone} is {signed} (DNSSEC is optional)."
    return verdict_of("dnssec", [], well=well, rfc=RFC, evidence=chain.lines)


def _bogus(domain: str, zone: str, chain: Chain, problem: Bogus) -> Verdict:
    is_ours = chain.at.is_subdomain(dns.name.from_text(zone))
    operator = f"Tell the operator of {shown(chain.at)}, who alone can mend it."
    fix = problem.fix if is_ours else operator
    found = Problem(
        CheckStatus.ERROR,
        f"DNSSEC of {domain} does not hold: {problem}. Receivers that validate see none of its records.",
        fix,
    )
    return verdict_of("dnssec", [found], well="", rfc=RFC, evidence=chain.lines)


def _indeterminate(zone: str, chain: Chain, why: str) -> Verdict:
    return Verdict(
        check="dnssec",
        status=CheckStatus.UNKNOWN,
        sentence=f"The chain of trust to {zone} could not be followed: this says nothing about the zone itself.",
        fix="Nothing has to be changed at the domain; look at the name servers mailops asks, and check again.",
        rfc=RFC,
        evidence=(*chain.lines, why),
    )
