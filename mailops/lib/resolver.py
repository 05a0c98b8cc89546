"""Asks DNS through name servers of our own choosing, and tells silence, failure and absence apart."""

import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from threading import Lock
from time import monotonic
from typing import Protocol, TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.resolver
from django.conf import settings

from mailops.lib.dns_answers import Answer, Asks, Status
from mailops.lib.dns_reading import failure_of, read_answer
from mailops.lib.mailbox_providers import ProviderCache
from mailops.lib.signed_answers import SignedAnswer, read_signed

QUERY_SECONDS = 2.0  # for one question to one server
ATTEMPTS = 2  # rounds over all servers; a lost UDP packet is common, two in a row are not
UDP_PAYLOAD = 1232  # octets; more may be fragmented and lost on the way
MAX_ALIASES = 8  # CNAMEs followed
# what servers say that don't know EDNS (RFC 6891 section 7)
_NO_EDNS = {dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS}


class _Told(Protocol):
    """What a server's response was read as."""

    @property
    def status(self) -> Status: ...
    @property
    def is_known(self) -> bool: ...


T = TypeVar("T", bound=_Told)


@dataclass(frozen=True)
class Resolver:
    """Asks `nameservers` in order, by UDP and, where an answer is truncated, by TCP."""

    nameservers: tuple[tuple[str, int], ...]
    query_seconds: float = QUERY_SECONDS
    attempts: int = ATTEMPTS
    is_recursive: bool = True  # False: asks servers for what they themselves are responsible for
    why_none: str = "No name server is configured."  # where there are none

    def __call__(self, name: str, rdtype: str) -> Answer:
        try:
            target = dns.name.from_text(name.rstrip(".") + ".")
        except (dns.exception.DNSException, UnicodeError) as error:
            return Answer(Status.NXDOMAIN, detail=f"{name!r} is not a domain name: {error}")
        if not self.nameservers:
            return Answer(Status.TIMEOUT, detail=self.why_none)
        return self._follow(target, rdtype)

    def signed(self, name: dns.name.Name, rdtype: str) -> SignedAnswer:
        """Ask for records and what signs them, even where a server finds that the signatures don't hold."""
        if not self.nameservers:
            return SignedAnswer(Status.TIMEOUT, detail=self.why_none)
        question = dns.message.make_query(name, rdtype, payload=UDP_PAYLOAD, want_dnssec=True)
        question.flags |= dns.flags.CD  # we verify ourselves (RFC 4035 section 3.2.2)
        answer = self._ask_all(question, read_signed)
        if isinstance(answer, Answer):
            return SignedAnswer(answer.status, detail=answer.detail)
        return answer

    def _follow(self, target: dns.name.Name, rdtype: str) -> Answer:
        """Ask for `target`; where a server leaves an alias for us to follow, go on asking."""
        seen = {target}
        while True:
            answer = self._ask_all(self._question(target, rdtype), read_answer)
            if isinstance(answer, Answer):
                return answer
            target = answer.target
            if target in seen or len(seen) > MAX_ALIASES:
                return Answer(Status.SERVFAIL, detail=f"The alias {target} leads in a circle.")
            seen.add(target)

    def _ask_all(
        self,
        question: dns.message.QueryMessage,
        read: Callable[[dns.message.QueryMessage, str], T | Answer],
    ) -> T | Answer:
        """Return the first response that tells something, as `read` reads it; else why none did."""
        failures: list[T | Answer] = []
        for _ in range(self.attempts):
            for server in self.nameservers:
                answer = self._ask(question, server, read)
                if answer.is_known:
                    return answer
                failures.append(answer)
            if all(answer.status is not Status.TIMEOUT for answer in failures):
                break  # they are alive and can't tell; asking again at once changes nothing
        return max(failures, key=lambda answer: answer.status is not Status.TIMEOUT)

    def _question(self, target: dns.name.Name, rdtype: str) -> dns.message.QueryMessage:
        question = dns.message.make_query(target, rdtype, use_edns=0, payload=UDP_PAYLOAD)
        if not self.is_recursive:
            question.flags &= ~dns.flags.RD
        return question

    def _ask(
        self,
        question: dns.message.QueryMessage,
        server: tuple[str, int],
        read: Callable[[dns.message.QueryMessage, str], T | Answer],
    ) -> T | Answer:
        host, port = server
        label = f"{host}:{port}"
        try:
            response = self._exchange(question, host, port)
            if response.rcode() in _NO_EDNS:
                plain = dns.message.make_query(
                    question.question[0].name, question.question[0].rdtype
                )
                response = self._exchange(plain, host, port)
            if not self.is_recursive and not response.flags & dns.flags.AA:
                return Answer(Status.SERVFAIL, detail=f"{label} is not responsible for that name.")
            if not isinstance(response, dns.message.QueryMessage):
                return Answer(Status.SERVFAIL, detail=f"{label} answered another kind of question.")
            return failure_of(response, label) or read(response, label)
        except dns.exception.Timeout:
            return Answer(
                Status.TIMEOUT, detail=f"{label} did not answer within {self.query_seconds:g} s."
            )
        except (OSError, EOFError) as error:
            return Answer(Status.TIMEOUT, detail=f"{label} can't be reached: {error}")
        except dns.exception.DNSException as error:
            return Answer(Status.SERVFAIL, detail=f"{label} gave a malformed answer: {error}")

    def _exchange(
        self, question: dns.message.QueryMessage, host: str, port: int
    ) -> dns.message.Message:
        kind = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(kind, socket.SOCK_DGRAM) as udp:
            udp.setblocking(False)
            udp.connect((host, port))  # so that nobody else can answer, and a closed port says so
            response, _ = dns.query.udp_with_fallback(
                question,
                host,
                timeout=self.query_seconds,
                port=port,
                ignore_unexpected=True,
                udp_sock=udp,
            )
        return response


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


def _addresses(host: str) -> list[str]:
    """Return the addresses of a name server, which may be named; raises ValueError."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise ValueError(f"The name server {host} has no address") from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


@lru_cache(maxsize=8)
def _resolver(nameservers: tuple[str, ...]) -> Resolver:
    if nameservers:
        named = [parse_nameserver(text) for text in nameservers]
        return Resolver(tuple((ip, port) for host, port in named for ip in _addresses(host)))
    try:
        system = dns.resolver.Resolver(configure=True)
    except dns.resolver.NoResolverConfiguration:
        return Resolver(())
    return Resolver(tuple((str(host), system.port) for host in system.nameservers))


def the_resolver(nameservers: Sequence[str] | None = None) -> Resolver:
    """Return the resolver over `nameservers`, by default those of the settings or, without any, the system's.

    Raise ValueError where one of `nameservers` is none. One of the settings may only have no address now: then nobody is asked.
    """
    if nameservers is not None:
        return _resolver(tuple(nameservers))
    try:
        return _resolver(tuple(settings.MAILOPS_NAMESERVERS))
    except ValueError as error:
        return Resolver((), why_none=f"{error}.")


def resolve(name: str, rdtype: str) -> Answer:
    """Ask the configured name servers for the records of type `rdtype` at `name`."""
    return the_resolver()(name, rdtype)


class Memo:
    """Asks each question once, for many threads; gives up on servers that never answer, and when its time is over."""

    def __init__(self, asks: Asks, *, patience: int = 2, seconds: float | None = None) -> None:
        self._asks = asks
        self._answers: dict[tuple[str, str], Future[Answer]] = {}
        self._lock = Lock()
        self._patience = patience
        self._silences, self._has_heard = 0, False
        self._ends_at = monotonic() + seconds if seconds is not None else None

    def __call__(self, name: str, rdtype: str) -> Answer:
        key = (name.rstrip(".").lower(), rdtype)
        with self._lock:
            is_new = key not in self._answers
            answer = self._answers.setdefault(key, Future())
        if is_new:
            try:
                answer.set_result(self._ask(*key))
            except BaseException as error:
                answer.set_exception(error)
                raise
        return answer.result()

    def _ask(self, name: str, rdtype: str) -> Answer:
        if self._ends_at is not None and monotonic() > self._ends_at:
            return Answer(Status.TIMEOUT, detail="Not asked: the time for this check was over.")
        if self._silences >= self._patience and not self._has_heard:
            return Answer(Status.TIMEOUT, detail="Not asked: the name servers were silent before.")
        answer = self._asks(name, rdtype)
        with self._lock:
            self._silences += answer.status is Status.TIMEOUT
            self._has_heard |= answer.status is not Status.TIMEOUT
        return answer


_providers = ProviderCache(resolve)


def mailbox_provider(domain: str) -> str:
    """Return the word for whoever runs the mailboxes of `domain`: `gmail`, `outlook`, an MX's registrable domain; the domain itself when DNS doesn't answer."""
    return _providers.provider(domain)


def mailbox_provider_at_hand(domain: str) -> str:
    """Return `mailbox_provider` of `domain` as far as it is known, waiting for nobody."""
    return _providers.provider_at_hand(domain)


def mailbox_providers(domains: Iterable[str], *, within: float | None = None) -> dict[str, str]:
    """Return `mailbox_provider` of each of `domains`, for a chunk of recipients grouped by domain.

    Whoever's name servers didn't answer `within` that many seconds in all is named by its domain.
    """
    return _providers.providers(domains, within=within)
