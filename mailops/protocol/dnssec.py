"""Verifies what a zone signs: keys that its parent vouches for, records, and proofs of absence (RFC 4035, RFC 5155)."""

import base64
import binascii
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

import dns.dnssec
import dns.dnssectypes
import dns.exception
import dns.name
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.rdtypes.ANY.DS
import dns.rdtypes.ANY.NSEC
import dns.rdtypes.ANY.NSEC3
import dns.rdtypes.ANY.RRSIG
import dns.rrset

DS = dns.rdtypes.ANY.DS.DS
DNSKEY = dns.rdtypes.ANY.DNSKEY.DNSKEY
NSEC = dns.rdtypes.ANY.NSEC.NSEC
NSEC3 = dns.rdtypes.ANY.NSEC3.NSEC3
RRSIG = dns.rdtypes.ANY.RRSIG.RRSIG

ALGORITHMS = frozenset({5, 7, 8, 10, 13, 14, 15, 16})  # those in use that can be verified here
DIGESTS = frozenset({1, 2, 4})
SHA1 = 1
ZONE_KEY, REVOKED = 0x0100, 0x0080
OPT_OUT = 0x01
MOST_TRIES = 16  # signatures times keys: a zone could otherwise make us verify for hours
# of NSEC3; what hashes more often is taken for unsigned (RFC 9276 section 3.2)
MOST_ITERATIONS = 150


class Bogus(Exception):
    """What is signed does not hold; the text is the end of a sentence, `fix` what its owner has to do."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.fix = fix


RESIGN = "Have the DNS provider sign the zone anew, and see that it does so by itself in time."
VOUCH = (
    "Publish the DS that belongs to the zone's key at the registrar, or have the DS removed there."
)
SERVE = "Have the DNS provider serve the zone's signatures on all of its servers."


@dataclass(frozen=True)
class SignedSet:
    """Records of one name and type with what signs them."""

    records: dns.rrset.RRset
    signatures: tuple[RRSIG, ...] = ()

    @property
    def name(self) -> dns.name.Name:
        return self.records.name

    def __str__(self) -> str:
        return f"{dns.rdatatype.to_text(self.records.rdtype)} of {shown(self.name)}"


@dataclass(frozen=True)
class Keys:
    """The keys of a zone that are trusted."""

    zone: dns.name.Name
    records: tuple[DNSKEY, ...]

    def verify(self, signed: SignedSet, now: float) -> RRSIG:
        """Return the signature that holds for `signed` at `now`; raise Bogus."""
        if not signed.signatures:
            raise Bogus(f"the {signed} carries no signature", SERVE)
        problems: list[Bogus] = []
        tries = 0
        for signature in signed.signatures:
            try:
                candidates = self._candidates(signed, signature, now)
            except Bogus as problem:
                problems.append(problem)
                continue
            for key in candidates:
                tries += 1
                if _fits(signed, signature, self.zone, key, now):
                    return signature
                if tries >= MOST_TRIES:
                    break
            problems.append(
                Bogus(f"the signature over the {signed} does not fit what it signs", RESIGN)
            )
            if tries >= MOST_TRIES:
                break
        raise problems[0]

    def _candidates(self, signed: SignedSet, signature: RRSIG, now: float) -> list[DNSKEY]:
        """Return the keys that may have made `signature`; raise Bogus where it can't hold."""
        if signature.signer != self.zone or not signed.name.is_subdomain(self.zone):
            raise Bogus(f"the {signed} is signed by {shown(signature.signer)}", RESIGN)
        if signature.algorithm not in ALGORITHMS:
            name = dns.dnssec.algorithm_to_text(signature.algorithm)
            raise Bogus(f"the {signed} is signed by an algorithm that is not known: {name}", RESIGN)
        if signature.expiration < now:
            raise Bogus(
                f"the signature over the {signed} expired on {moment(signature.expiration)}",
                RESIGN,
            )
        if signature.inception > now:
            raise Bogus(
                f"the signature over the {signed} holds only from {moment(signature.inception)}",
                RESIGN,
            )
        found = [
            key
            for key in self.records
            if key.algorithm == signature.algorithm and dns.dnssec.key_id(key) == signature.key_tag
        ]
        if not found:
            raise Bogus(
                f"the {signed} is signed by key {signature.key_tag}, which the zone does not show",
                RESIGN,
            )
        return found


def _fits(
    signed: SignedSet, signature: RRSIG, zone: dns.name.Name, key: DNSKEY, now: float
) -> bool:
    held = dns.rrset.from_rdata(zone, 0, key)
    try:
        dns.dnssec.validate_rrsig(signed.records, signature, {zone: held}, now=now)
    except (dns.exception.DNSException, ValueError):
        return False
    return True


def keys_vouched_for(
    zone: dns.name.Name, delegation: Sequence[DS], shown_keys: SignedSet, now: float
) -> Keys:
    """Return the keys that `zone` shows if one that `delegation` vouches for signs them all; raise Bogus."""
    records = tuple(key for key in shown_keys.records if isinstance(key, DNSKEY) and _may_sign(key))
    vouched = tuple(key for key in records if any(_is_of(ds, zone, key) for ds in delegation))
    if not vouched:
        tags = ", ".join(sorted({str(ds.key_tag) for ds in delegation}))
        raise Bogus(
            f"the parent of {shown(zone)} vouches for key {tags}, and none of the {len(records)} keys that it shows fits (DS)", VOUCH
        )  # fmt: skip
    Keys(zone, vouched).verify(shown_keys, now)
    return Keys(zone, records)


def usable(delegation: Iterable[dns.rdata.Rdata]) -> list[DS]:
    """Return the DS records that can be held against a key; without any, the zone counts as unsigned (RFC 4035 section 5.2)."""
    known = [
        ds
        for ds in delegation
        if isinstance(ds, DS) and ds.algorithm in ALGORITHMS and ds.digest_type in DIGESTS
    ]
    better = [ds for ds in known if ds.digest_type != SHA1]
    return better or known  # RFC 4509 section 3


def _may_sign(key: DNSKEY) -> bool:
    return key.protocol == 3 and bool(key.flags & ZONE_KEY) and not key.flags & REVOKED


def _is_of(ds: DS, zone: dns.name.Name, key: DNSKEY) -> bool:
    if (ds.key_tag, ds.algorithm) != (dns.dnssec.key_id(key), key.algorithm):
        return False
    try:
        made = dns.dnssec.make_ds(
            zone, key, dns.dnssectypes.DSDigest.make(ds.digest_type), validating=True
        )
    except (dns.exception.DNSException, ValueError):
        return False
    return bool(made.digest == ds.digest)


class Absence(Enum):
    """Why a signed zone has no DS for a name."""

    UNSIGNED = "unsigned"  # it delegates the name without one
    NO_CUT = "no cut"  # the name belongs to the zone itself
    NO_NAME = "no name"


def why_no_ds(name: dns.name.Name, proofs: Iterable[SignedSet], keys: Keys, now: float) -> Absence:
    """Return what `proofs`, which came instead of a DS for `name`, prove of it; raise Bogus."""
    held = [proof for proof in proofs if proof.name.is_subdomain(keys.zone)]
    for proof in held:
        keys.verify(proof, now)
    found = _by_nsec(name, held) or _by_nsec3(name, held, keys.zone)
    if found is None:
        raise Bogus(f"{shown(name)} is said to have no DS, and nothing proves that", SERVE)
    return found


def _by_nsec(name: dns.name.Name, proofs: Iterable[SignedSet]) -> Absence | None:
    for proof in proofs:
        record = proof.records[0]
        if not isinstance(record, NSEC):
            continue
        if proof.name == name:
            return _at(name, record)
        is_above_a_cut = _has(record, dns.rdatatype.NS) and not _has(record, dns.rdatatype.SOA)
        if name.is_subdomain(proof.name) and is_above_a_cut:
            continue  # what stands below a delegation isn't this zone's to deny (RFC 6840 section 4.1)
        if proof.name < name and (name < record.next or record.next <= proof.name):
            # a name in between, with others below it, is there
            return Absence.NO_CUT if record.next.is_subdomain(name) else Absence.NO_NAME
    return None


def _at(name: dns.name.Name, record: NSEC | NSEC3) -> Absence:
    if _has(record, dns.rdatatype.DS):
        raise Bogus(
            f"{shown(name)} is said to have no DS, and its zone signs that it has one", SERVE
        )
    is_delegated = _has(record, dns.rdatatype.NS) and not _has(record, dns.rdatatype.SOA)
    return Absence.UNSIGNED if is_delegated else Absence.NO_CUT


def _has(record: NSEC | NSEC3, rdtype: int) -> bool:
    window, place = divmod(rdtype, 256)
    return any(
        number == window and len(bits) > place // 8 and bits[place // 8] & (0x80 >> place % 8)
        for number, bits in record.windows
    )


@dataclass(frozen=True)
class _Hashed:
    """One NSEC3 record, and the part of the ring of hashes that it speaks of."""

    owner: bytes
    record: NSEC3

    def hash_of(self, name: dns.name.Name) -> bytes:
        text = dns.dnssec.nsec3_hash(name, self.record.salt, self.record.iterations, 1)
        return base64.b32hexdecode(text.upper())

    def covers(self, name: dns.name.Name) -> bool:
        hashed, following = self.hash_of(name), self.record.next
        if self.owner < following:
            return self.owner < hashed < following
        return hashed > self.owner or hashed < following

    @property
    def is_too_dear(self) -> bool:
        return int(self.record.iterations) > MOST_ITERATIONS


def _hashed(proofs: Iterable[SignedSet]) -> Iterator[_Hashed]:
    for proof in proofs:
        record = proof.records[0]
        if isinstance(record, NSEC3) and record.algorithm == 1:
            try:
                owner = base64.b32hexdecode(proof.name.labels[0].upper())
            except (binascii.Error, ValueError):
                continue
            yield _Hashed(owner, record)


def _by_nsec3(
    name: dns.name.Name, proofs: Iterable[SignedSet], zone: dns.name.Name
) -> Absence | None:
    """Find the closest name that is there, and that the next one towards `name` is not (RFC 5155 section 8)."""
    held = list(_hashed(proofs))
    if any(one.is_too_dear for one in held):
        return Absence.UNSIGNED
    closer, candidate = name, name
    while candidate.is_subdomain(zone):
        match = next((one for one in held if one.owner == one.hash_of(candidate)), None)
        if match and candidate == name:
            return _at(name, match.record)
        if match:
            cover = next((one for one in held if one.covers(closer)), None)
            if cover is None:
                return None
            return Absence.UNSIGNED if cover.record.flags & OPT_OUT else Absence.NO_NAME
        if candidate == dns.name.root:
            return None
        closer, candidate = candidate, candidate.parent()
    return None


def shown(name: dns.name.Name) -> str:
    return "the root" if name == dns.name.root else name.to_text(omit_final_dot=True)


def moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%-d %b %Y, %H:%M UTC")
