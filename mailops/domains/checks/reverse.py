"""The names of sending addresses: a PTR that leads back to its address (RFC 1912 section 2.1)."""

import ipaddress
from collections.abc import Iterator, Sequence

from mailops.domains.checks.verdict import Problem, Verdict, unanswered, verdict_of
from mailops.domains.models import CheckStatus
from mailops.lib.dns_answers import Asks
from mailops.protocol.spf_record import is_spf, parse_spf

RFC = "RFC 1912 section 2.1"
MAX_ADDRESSES = 16  # of one domain
# addresses whose names are no business of the public DNS
_INNER = [
    ipaddress.ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8"),
        *("169.254.0.0/16", "0.0.0.0/8", "::1/128", "::/128", "fc00::/7", "fe80::/10"),
    )
]

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def sending_addresses(
    hosts: Sequence[str], needs: Sequence[str], asks: Asks
) -> dict[IPAddress, bool]:
    """Return the single addresses that send for `hosts`, and whether something of ours sends from them.

    Ours are those among `needs`; the others stand in the hosts' own SPF records, networks and includes left out.
    """
    found: dict[IPAddress, bool] = {}
    for network in map(_network, needs):
        if network is not None and network.num_addresses == 1:
            found[network.network_address] = True
    for host in hosts:
        for text in filter(is_spf, asks(host, "TXT").values):
            for term in parse_spf(text).mechanisms:
                if term.network is not None and term.network.num_addresses == 1:
                    found.setdefault(term.network.network_address, False)
    outer = [(ip, ours) for ip, ours in found.items() if not any(ip in inner for inner in _INNER)]
    return dict(outer[:MAX_ADDRESSES])


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def check_ptr(address: IPAddress, asks: Asks, *, is_ours: bool) -> Verdict:
    """Check that `address` has a name that leads back to it."""
    check = f"ptr:{address}"
    answer = asks(address.reverse_pointer, "PTR")
    if not answer.is_known:
        return unanswered(check, f"the PTR of {address}", answer, rfc=RFC)
    names = [name.rstrip(".") for name in answer.values]
    rdtype = "A" if address.version == 4 else "AAAA"
    forward = {name: asks(name, rdtype) for name in names}
    confirmed = [
        name
        for name, found in forward.items()
        if any(ipaddress.ip_address(value) == address for value in found.values)
    ]
    silent = next((found for found in forward.values() if not found.is_known), None)
    if silent and not confirmed:
        return unanswered(check, f"the names of {address}", silent, rfc=RFC)
    evidence = [
        f"{address.reverse_pointer} PTR {', '.join(names) or answer.detail}",
        *(
            f"{name} {rdtype} {', '.join(found.values) or found.detail}"
            for name, found in forward.items()
        ),
    ]
    status = CheckStatus.ERROR if is_ours else CheckStatus.WARNING
    problems = list(_problems(address, names, confirmed, status))
    well = f"{address} is {', '.join(confirmed)}, and back."
    return verdict_of(check, problems, well=well, rfc=RFC, evidence=evidence)


def _problems(
    address: IPAddress, names: list[str], confirmed: list[str], status: CheckStatus
) -> Iterator[Problem]:
    fix = f"Have whoever owns {address} point its PTR at a name, and that name's address record at {address}."
    if not names:
        yield Problem(
            status,
            f"{address}, which sends for the domain, has no name in reverse DNS: Gmail and others refuse its mail.",
            fix,
        )
    elif not confirmed:
        yield Problem(
            status,
            f"{address} says that it is {', '.join(names)}, which does not lead back to it: Gmail and others refuse its mail.",
            fix,
        )
