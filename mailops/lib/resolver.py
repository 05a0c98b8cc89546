"""Asks DNS through name servers of our own choosing, and tells silence, failure and absence apart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.resolver
from django.conf import settings

from mailops.lib.dns_answers import Answer, Asks, Status
from mailops.lib.mailbox_providers import ProviderCache

QUERY_SECONDS = 2.0  # for one question to one server
ATTEMPTS = 2  # rounds over all servers; a lost UDP packet is common, two in a row are not
UDP_PAYLOAD = 1232  # octets; more may be fragmented and lost on the way


@dataclass(frozen=True)
class Resolver:
    """Asks `nameservers` in order, by UDP and, where an answer is truncated, by TCP."""

    nameservers: tuple[tuple[str, int], ...]
    query_seconds: float = QUERY_SECONDS
    attempts: int = ATTEMPTS

    def __call__(self, name: str, rdtype: str) -> Answer:
        try:
            question = dns.message.make_query(
                name.rstrip(".") + ".", rdtype, use_edns=0, payload=UDP_PAYLOAD
            )
        except (dns.exception.DNSException, UnicodeError) as error:
            return Answer(Status.NXDOMAIN, detail=f"{name!r} is not a domain name: {error}")
        if not self.nameservers:
            return Answer(Status.TIMEOUT, detail="No name server is configured.")
        failures: list[Answer] = []
        for _ in range(self.attempts):
            for server in self.nameservers:
                answer = self._ask(question, server)
                if answer.is_known:
                    return answer
                failures.append(answer)
            if all(answer.status is Status.SERVFAIL for answer in failures):
                break  # they are alive and can't tell; asking again at once changes nothing
        return max(failures, key=lambda answer: answer.status is Status.SERVFAIL)

    def _ask(self, question: dns.message.QueryMessage, server: tuple[str, int]) -> Answer:
        host, port = server
        label = f"{host}:{port}"
        try:
            response, _ = dns.query.udp_with_fallback(
                question, host, timeout=self.query_seconds, port=port, ignore_unexpected=True
            )
            return _read(response, label)
        except dns.exception.Timeout:
            return Answer(
                Status.TIMEOUT, detail=f"{label} did not answer within {self.query_seconds:g} s."
            )
        except (OSError, EOFError) as error:
            return Answer(Status.TIMEOUT, detail=f"{label} can't be reached: {error}")
        except dns.exception.DNSException as error:
            return Answer(Status.SERVFAIL, detail=f"{label} gave a malformed answer: {error}")


def _read(response: dns.message.Message, label: str) -> Answer:
    rcode = response.rcode()
    if rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return Answer(Status.SERVFAIL, detail=f"{label} answered {dns.rcode.to_text(rcode)}.")
    if not isinstance(response, dns.message.QueryMessage):
        return Answer(Status.SERVFAIL, detail=f"{label} answered another kind of question.")
    found = response.resolve_chaining().answer
    if found is not None:
        return Answer(Status.FOUND, tuple(sorted(_text(rdata) for rdata in found)))
    if rcode == dns.rcode.NXDOMAIN:
        return Answer(Status.NXDOMAIN, detail=f"{label} answered NXDOMAIN.")
    return Answer(Status.NODATA, detail=f"{label} answered without such a record.")


def _text(rdata: dns.rdata.Rdata) -> str:
    """Return a record's data as text; the strings of a TXT record are joined (RFC 7208 section 3.3)."""
    if isinstance(rdata, dns.rdtypes.ANY.TXT.TXT):
        joined = b"".join(rdata.strings).decode("utf-8", "backslashreplace")
        return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in joined)
    text = rdata.to_text()
    return text if text.endswith(" .") else text.rstrip(".")  # "0 ." is a null MX


def parse_nameserver(text: str) -> tuple[str, int]:
    """Return host and port of `9.9.9.9`, `127.0.0.1:5353` or `[::1]:53`; raises ValueError."""
    host, port = text.strip(), "53"
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":") or "53"
    elif host.count(":") == 1:
        host, port = host.split(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not host:port")
    return host, int(port)


@lru_cache(maxsize=8)
def _resolver(nameservers: tuple[str, ...]) -> Resolver:
    if nameservers:
        return Resolver(tuple(parse_nameserver(text) for text in nameservers))
    try:
        system = dns.resolver.Resolver(configure=True)
    except dns.resolver.NoResolverConfiguration:
        return Resolver(())
    return Resolver(tuple((str(host), system.port) for host in system.nameservers))


def the_resolver(nameservers: Sequence[str] | None = None) -> Resolver:
    """Return the resolver over `nameservers`, by default those of the settings or, without any, the system's."""
    return _resolver(tuple(settings.MAILOPS_NAMESERVERS if nameservers is None else nameservers))


def resolve(name: str, rdtype: str) -> Answer:
    """Ask the configured name servers for the records of type `rdtype` at `name`."""
    return the_resolver()(name, rdtype)


class Memo:
    """Asks each question once and stops asking when the servers are silent, so that a check can't hang."""

    def __init__(self, asks: Asks, *, patience: int = 2) -> None:
        self._asks = asks
        self._answers: dict[tuple[str, str], Answer] = {}
        self._silences_left = patience

    def __call__(self, name: str, rdtype: str) -> Answer:
        key = (name.rstrip(".").lower(), rdtype)
        if key not in self._answers:
            self._answers[key] = self._ask(*key)
        return self._answers[key]

    def _ask(self, name: str, rdtype: str) -> Answer:
        if self._silences_left <= 0:
            return Answer(Status.TIMEOUT, detail="Not asked: the name servers were silent before.")
        answer = self._asks(name, rdtype)
        if answer.status is Status.TIMEOUT:
            self._silences_left -= 1
        return answer

    @property
    def failures(self) -> Iterable[Answer]:
        return [answer for answer in self._answers.values() if not answer.is_known]


_providers = ProviderCache(resolve)


def mailbox_provider(domain: str) -> str:
    """Return the word for whoever runs the mailboxes of `domain`: `gmail`, `outlook`, an MX's registrable domain; the domain itself when DNS doesn't answer."""
    return _providers.provider(domain)


def mailbox_providers(domains: Iterable[str], *, within: float | None = None) -> dict[str, str]:
    """Return `mailbox_provider` of each of `domains`, for a chunk of recipients grouped by domain.

    Whoever's name servers didn't answer `within` that many seconds in all is named by its domain.
    """
    return _providers.providers(domains, within=within)
