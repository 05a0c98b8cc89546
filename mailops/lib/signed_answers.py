"""What DNS said to one question together with what signs it, for DNSSEC."""

from dataclasses import dataclass

import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from mailops.lib.dns_answers import KNOWN, Status
from mailops.protocol.dnssec import RRSIG, SignedSet

_DENYING = {dns.rdatatype.NSEC, dns.rdatatype.NSEC3}


@dataclass(frozen=True)
class SignedAnswer:
    """The records of one type at a name, an alias that stands there, or what denies them."""

    status: Status
    records: SignedSet | None = None
    alias: SignedSet | None = None
    proofs: tuple[SignedSet, ...] = ()
    detail: str = ""  # the technical text

    @property
    def is_known(self) -> bool:
        return self.status in KNOWN


def read_signed(response: dns.message.QueryMessage, label: str) -> SignedAnswer:
    """Return what `response`, of the server `label`, says and how it is signed."""
    question = response.question[0]
    asked = response.get_rrset(response.answer, question.name, dns.rdataclass.IN, question.rdtype)
    alias = _alias(response)
    if asked:
        return SignedAnswer(Status.FOUND, _signed(asked, response.answer))
    if alias:
        return SignedAnswer(Status.NODATA, alias=_signed(alias, response.answer))
    proofs = [
        _signed(rrset, response.authority)
        for rrset in response.authority
        if rrset.rdtype in _DENYING
    ]
    is_absent = response.rcode() == dns.rcode.NXDOMAIN
    return SignedAnswer(
        Status.NXDOMAIN if is_absent else Status.NODATA,
        proofs=tuple(proofs),
        detail=f"{label} answered without such a record.",
    )


def _alias(response: dns.message.QueryMessage) -> dns.rrset.RRset | None:
    """Return the CNAME at the name or, where it was made from a DNAME above, that: it alone is signed (RFC 6672)."""
    name = response.question[0].name
    for rrset in response.answer:
        if rrset.rdtype == dns.rdatatype.DNAME and name.is_subdomain(rrset.name):
            return rrset
    return response.get_rrset(response.answer, name, dns.rdataclass.IN, dns.rdatatype.CNAME)


def _signed(records: dns.rrset.RRset, section: list[dns.rrset.RRset]) -> SignedSet:
    signatures = (
        rdata
        for rrset in section
        if rrset.name == records.name and rrset.covers == records.rdtype
        for rdata in rrset
        if isinstance(rdata, RRSIG)
    )
    return SignedSet(records, tuple(signatures))
