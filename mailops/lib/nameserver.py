"""A small authoritative name server on loopback, for the demo and for tests; nothing leaves the machine."""

from collections.abc import Mapping, Sequence
from threading import Thread
from types import TracebackType
from typing import Any, Self

import dnslib
from dnslib.server import DNSHandler, DNSLogger, DNSServer, TCPServer, UDPServer

# name → record type → values in presentation form; a TXT value is given whole and cut here, or as its strings
Zones = Mapping[str, Mapping[str, Sequence[str | tuple[bytes, ...]]]]
TTL_SECONDS = 60
TXT_PIECE = 255  # octets one string of a TXT record may hold (RFC 1035 section 3.3.14)
UDP_PAYLOAD = 1232
MAX_ALIASES = 8  # CNAMEs followed
POLL_SECONDS = 0.05  # how soon a stop is noticed
PORT_TRIES = 20  # where any port will do


class _Handler(DNSHandler):  # type: ignore[misc]
    udplen = UDP_PAYLOAD


def _server(resolver: "Nameserver", host: str, port: int, kind: type) -> Any:
    quiet = DNSLogger("-request,-reply,-truncated,-error")
    return DNSServer(resolver, address=host, port=port, handler=_Handler, logger=quiet, server=kind)


class Nameserver:
    """Answers for `zones` over UDP and TCP: NXDOMAIN for a name that isn't there, NODATA for a type."""

    def __init__(self, zones: Zones, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.answer_for(zones)
        for tries_left in reversed(range(PORT_TRIES if port == 0 else 1)):
            self._udp = _server(self, host, port, UDPServer)
            self.host, self.port = host, int(self._udp.server.server_address[1])
            try:
                self._tcp = _server(self, host, self.port, TCPServer)
            except OSError:  # a port free for UDP is taken for TCP
                self._udp.server.server_close()
                if not tries_left:
                    raise
            else:
                break

    def answer_for(self, zones: Zones) -> None:
        """Serve these zones and no others from now on."""
        self.zones = {name.rstrip(".").lower(): records for name, records in zones.items()}

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def __enter__(self) -> Self:
        for server in (self._udp, self._tcp):
            Thread(target=server.server.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in (self._udp, self._tcp):
            server.stop()
            server.server.server_close()

    def resolve(self, request: Any, handler: Any) -> Any:  # noqa: ARG002 - dnslib gives both
        """Return dnslib's reply to its request."""
        name = str(request.q.qname).rstrip(".").lower()
        rdtype = str(dnslib.QTYPE[request.q.qtype])
        reply = request.reply()
        reply.header.rcode = dnslib.RCODE.NOERROR if self._is_there(name) else dnslib.RCODE.NXDOMAIN
        self._answer(reply, name, rdtype)
        return reply

    def _answer(self, reply: Any, name: str, rdtype: str) -> None:
        """Add the records at `name`; where an alias stands, it and what it leads to."""
        records = self.zones.get(name, {})
        kind = "CNAME" if "CNAME" in records and not records.get(rdtype) else rdtype
        for value in records.get(kind, ()):
            number, data = getattr(dnslib.QTYPE, kind), _data(kind, value)
            reply.add_answer(dnslib.RR(name, number, ttl=TTL_SECONDS, rdata=data))
        if kind != rdtype and len(reply.rr) <= MAX_ALIASES:
            self._answer(reply, str(records[kind][0]).rstrip(".").lower(), rdtype)

    def _is_there(self, name: str) -> bool:
        """Tell whether `name` or a name below it has records (RFC 8020: an empty name in between exists)."""
        return name in self.zones or any(other.endswith("." + name) for other in self.zones)


def _data(rdtype: str, value: str | tuple[bytes, ...]) -> Any:
    if isinstance(value, tuple):
        return dnslib.TXT(list(value))
    if rdtype == "TXT":
        octets = value.encode()
        pieces = [octets[i : i + TXT_PIECE] for i in range(0, len(octets), TXT_PIECE)]
        return dnslib.TXT(pieces or [b""])
    return dnslib.RDMAP[rdtype].fromZone(value.split())
