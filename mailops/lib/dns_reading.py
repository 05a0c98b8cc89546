"""Reads a response of a name server: what it says, that it says nothing, or where else to ask."""

from dataclasses import dataclass

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.rrset

from mailops.lib.dns_answers import Answer, Status


@dataclass(frozen=True)
class Alias:
    """A CNAME whose target the server left to be asked for."""

    target: dns.name.Name
    status: Status = Status.FOUND
    is_known: bool = True


def failure_of(response: dns.message.QueryMessage, label: str) -> Answer | None:
    """Return why `response` answers nothing: it says so, was cut, speaks of something else or sends us elsewhere."""
    rcode = response.rcode()
    if rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        status = Status.REFUSED if rcode == dns.rcode.REFUSED else Status.SERVFAIL
        return Answer(status, detail=f"{label} answered {dns.rcode.to_text(rcode)}.")
    if response.flags & dns.flags.TC:
        return Answer(Status.SERVFAIL, detail=f"{label} cut its answer short by TCP, too.")
    name = response.question[0].name
    if response.answer and all(rrset.name != name for rrset in response.answer):
        return Answer(Status.SERVFAIL, detail=f"{label} answered about another name.")
    if _is_referral(response):
        return Answer(Status.SERVFAIL, detail=f"{label} names other servers and doesn't ask them.")
    return None


def _is_referral(response: dns.message.QueryMessage) -> bool:
    """Tell whether a server that is not responsible for a name only says who is (RFC 2308 section 2.2)."""
    kinds = {rrset.rdtype for rrset in response.authority}
    is_empty = not response.answer and response.rcode() == dns.rcode.NOERROR
    sends_on = dns.rdatatype.NS in kinds and dns.rdatatype.SOA not in kinds
    return is_empty and sends_on and not response.flags & dns.flags.AA


def read_answer(response: dns.message.QueryMessage, label: str) -> Answer | Alias:
    chain = response.resolve_chaining()
    if chain.answer is not None:
        return _found(chain.answer)
    if response.rcode() == dns.rcode.NXDOMAIN:
        return Answer(Status.NXDOMAIN, detail=f"{label} answered NXDOMAIN.")
    if chain.canonical_name != response.question[0].name:
        return Alias(chain.canonical_name)
    return Answer(Status.NODATA, detail=f"{label} answered without such a record.")


def _found(records: dns.rrset.RRset) -> Answer:
    found = [(_text(rdata), len(getattr(rdata, "strings", ()))) for rdata in records]
    if records.rdtype != dns.rdatatype.PTR:
        found.sort()  # of many names only the first are looked at, so they keep their order
    values, pieces = zip(*found, strict=True)
    return Answer(Status.FOUND, values, pieces=pieces if any(pieces) else ())


def _text(rdata: dns.rdata.Rdata) -> str:
    """Return a record's data as text; the strings of a TXT record are joined (RFC 7208 section 3.3).

    What is neither UTF-8 nor printable is shown by a stand-in outside ASCII, so that it can't pass for text. A tab is
    white space to DKIM and DMARC (RFC 6376 section 2.8).
    """
    if isinstance(rdata, dns.rdtypes.ANY.TXT.TXT):
        joined = b"".join(rdata.strings).decode("utf-8", "replace")
        return "".join(c if c.isprintable() or c == "\t" else _stand_in(c) for c in joined)
    text = rdata.to_text()
    return text if text.endswith(" .") else text.rstrip(".")  # "0 ." is a null MX


def _stand_in(letter: str) -> str:
    return chr(0x2400 + ord(letter)) if letter < " " else "\N{REPLACEMENT CHARACTER}"
