"""DNSBL: whether a list of senders of spam names the domain or one of its addresses (RFC 5782)."""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mailops.domains.checks.reverse import IPAddress
from mailops.domains.checks.verdict import Problem, Verdict, verdict_of
from mailops.domains.models import CheckStatus
from mailops.lib.dns_answers import Answer, Asks

RFC = "RFC 5782"
ASKERS = 16
_LISTED = ipaddress.IPv4Network("127.0.0.0/8")
_REFUSED = ipaddress.IPv4Network("127.255.255.0/24")  # how lists say that they won't answer us


@dataclass(frozen=True)
class Lists:
    """The zones of lists to ask, by what they list."""

    of_addresses: Sequence[str] = ()
    of_domains: Sequence[str] = ()


@dataclass(frozen=True)
class _Look:
    subject: str
    zone: str
    label: str  # what stands before the zone
    answer: Answer

    @property
    def codes(self) -> list[str]:
        return [value for value in self.answer.values if _is_within(value, _LISTED)]

    @property
    def was_told(self) -> bool:
        return self.answer.is_known and not any(_is_within(code, _REFUSED) for code in self.codes)


def _is_within(value: str, network: ipaddress.IPv4Network) -> bool:
    return ipaddress.ip_address(value) in network


def check_dnsbl(
    domain: str, addresses: Iterable[IPAddress], lists: Lists, asks: Asks
) -> Verdict | None:
    """Check `domain` and `addresses` on each of `lists`; nothing where there is nothing to ask."""
    questions = [
        *((domain, zone, domain) for zone in lists.of_domains),
        *((str(ip), zone, _label(ip)) for ip in addresses for zone in lists.of_addresses),
    ]
    if not questions:
        return None
    with ThreadPoolExecutor(ASKERS) as pool:
        answers = pool.map(lambda of: asks(f"{of[2]}.{of[1]}", "A"), questions)
        looks = [_Look(*of, answer) for of, answer in zip(questions, answers, strict=True)]
    told = [look for look in looks if look.was_told]
    listed = [look for look in told if look.codes and not _lists_everything(look, asks)]
    evidence = [f"{look.label}.{look.zone}: {_shown(look)}" for look in looks]
    evidence += [f"{look.zone} says: {why}" for look in listed for why in _reasons(look, asks)]
    if not told:
        return Verdict(
            check="dnsbl",
            status=CheckStatus.UNKNOWN,
            sentence="None of the lists of spam senders answered; many of them refuse public resolvers.",
            fix="Let mailops ask a resolver of your own (MAILOPS_NAMESERVERS), or name lists that answer you.",
            rfc=RFC,
            evidence=tuple(evidence),
        )
    count = len({look.zone for look in told})
    well = (
        f"{count} {'list' if count == 1 else 'lists'} of spam senders answered, and none names it."
    )
    return verdict_of("dnsbl", _problems(listed), well=well, rfc=RFC, evidence=evidence)


def _label(ip: IPAddress) -> str:
    return ip.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def _lists_everything(look: _Look, asks: Asks) -> bool:
    """Tell whether the list names even what none may name (section 5): it was given up."""
    probe = "invalid" if look.subject == look.label else "1.0.0.127"
    return asks(f"{probe}.{look.zone}", "A").is_found


def _shown(look: _Look) -> str:
    return ", ".join(look.answer.values) or look.answer.detail


def _reasons(look: _Look, asks: Asks) -> tuple[str, ...]:
    return asks(f"{look.label}.{look.zone}", "TXT").values


def _problems(listed: Iterable[_Look]) -> Iterator[Problem]:
    for look in listed:
        yield Problem(
            CheckStatus.ERROR,
            f"{look.subject} is on the list {look.zone}: receivers that use it refuse the mail.",
            f"Find out why at {look.zone} and stop the cause, then ask for removal there.",
        )
