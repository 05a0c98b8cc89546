"""The one door to other machines: names are resolved, checked and pinned before anything connects."""

import contextlib
import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from mailops.lib import resolver
from mailops.lib.dns_answers import Asks, Status

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052
# A network's own NAT64 (RFC 8215): what it embeds and where is its business, so nothing in it is taken for public.
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
# of the machine that ours runs on: no host of the public's
_AZURE_HOST = ipaddress.ip_address("168.63.129.16")
_TEREDO = ipaddress.ip_network("2001::/32")  # RFC 4380: tunnels to an IPv4 address that it hides
_LONGEST_HOST = 253  # characters (RFC 1035, 2.3.4)
_PORTS = {"https": 443, "http": 80}
_URL = re.compile(r"[\x21-\x7e]+")  # RFC 3986, section 2

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class EgressFault(Exception):
    """No connection was made. `cause` is not_found, dns_silent, not_allowed, refused, timeout or unreachable."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause, self.detail = cause, detail


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and port whose addresses were checked; connecting uses these and asks no name server again."""

    host: str
    port: int
    addresses: tuple[str, ...]


def is_trusted(host: str, port: int) -> bool:
    """Tell whether exactly this pair may be spoken to without TLS and inside private ranges."""
    return (host.lower().rstrip("."), port) in settings.MAILOPS_TRUSTED_RELAYS


def port_of(parts: SplitResult) -> int:
    """Return the port that an address of the web leads to, 0 where it is of no page; raises ValueError."""
    return parts.port or _PORTS.get(parts.scheme, 0)


def is_confidential(url: str) -> bool:
    """Tell whether secrets may be sent to this address: by https, or by http to a trusted relay."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", port_of(parts)
    except ValueError:
        return False
    is_whole = 0 < len(host) <= _LONGEST_HOST and "@" not in parts.netloc and _URL.fullmatch(url)
    if not is_whole:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_trusted(host, port))


def resolve(host: str, port: int, *, asks: Asks | None = None) -> Endpoint:
    """Return the addresses of `host` that may be spoken to, as `asks` tells them if it is given; raise EgressFault.

    Private, loopback, link-local and other special ranges are refused but for MAILOPS_TRUSTED_RELAYS. The fault
    never says which address a name led to, so that nobody can map our network through it.
    """
    addresses = _look_up(host, asks)
    if not addresses:
        raise EgressFault("not_found", f"the name {host} has no address")
    if not is_trusted(host, port):
        addresses = [address for address in addresses if _is_public(address)]
        if not addresses:
            raise EgressFault("not_allowed", f"{host} leads to an address that is not public")
    return Endpoint(host, port, tuple(str(address) for address in addresses))


def connect(endpoint: Endpoint, *, timeout: float) -> tuple[socket.socket, str]:
    """Return a connected socket and the address it speaks to, trying each pinned address; raise EgressFault."""
    fault = EgressFault("unreachable", f"{endpoint.host} has no address to try")
    share = timeout / len(endpoint.addresses)
    for address in endpoint.addresses:
        try:
            connection = socket.create_connection((address, endpoint.port), timeout=share)
        except OSError as error:
            fault = _fault_of(error, address, endpoint.port)
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection, address
    raise fault


def _fault_of(error: OSError, address: str, port: int) -> EgressFault:
    where = f"{address} port {port}"
    if isinstance(error, TimeoutError):
        return EgressFault("timeout", f"no answer from {where}")
    if isinstance(error, ConnectionRefusedError):
        return EgressFault("refused", f"connection to {where} refused")
    return EgressFault("unreachable", f"{where}: {error.strerror or error}")


def _look_up(host: str, asks: Asks | None) -> list[IPAddress]:
    with contextlib.suppress(ValueError):
        return [ipaddress.ip_address(host)]
    texts = _addresses_by(asks, host) if asks else _addresses_of(host)
    return [ipaddress.ip_address(text) for text in texts]


def _addresses_by(asks: Asks, host: str) -> list[str]:
    answers = [asks(host, rdtype) for rdtype in ("A", "AAAA")]
    found = [text for answer in answers for text in answer.values]
    if not found and not all(answer.is_known for answer in answers):
        raise EgressFault("dns_silent", f"no name server answered for {host}")
    return found


def _addresses_of(host: str) -> list[str]:
    """Return what our name servers say or, where they know nothing, this machine's own look-up (/etc/hosts)."""
    if found := _asked_for(host) if "." in host else []:
        return found
    try:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(sockaddr[0]).partition("%")[0] for *_, sockaddr in infos))


def _asked_for(host: str) -> list[str]:
    asks = resolver.the_resolver()
    found: list[str] = []
    for rdtype in ("A", "AAAA"):
        answer = asks(host, rdtype)
        # Whoever waits has waited long enough; the machine's own look-up would ask the same servers, for longer.
        if answer.status is Status.TIMEOUT and asks.nameservers and not found:
            raise EgressFault("dns_silent", f"no name server answered for {host}")
        found += answer.values
    return found


def _is_public(address: IPAddress) -> bool:
    if address in _LOCAL_NAT64 or address in _TEREDO or address == _AZURE_HOST:
        return False
    inner = _embedded(address)
    if inner is not None:
        return _is_public(inner)
    is_old_private = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return not (address.is_multicast or address.is_reserved or is_old_private) and address.is_global


def _embedded(address: IPAddress) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 one stands for (mapped, 6to4, NAT64)."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
