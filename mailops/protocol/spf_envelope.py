"""Who sends from where, as SPF sees it, and what its macros stand for (RFC 7208 sections 2.4, 4.1 and 7.2)."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import idna

from mailops.protocol.spf_macros import Values

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Envelope:
    """What is known of a sender when SPF is asked."""

    ip: IPAddress
    sender: str  # MAIL FROM as it was given; empty: the null sender, and the HELO name stands in (section 2.4)
    helo: str
    receiver: str = "unknown"  # who checks, for the macro r
    at: int = 0  # seconds since 1970, for the macro t

    @cached_property
    def client(self) -> IPAddress:
        """The client's address; one of IPv4 that came mapped into IPv6 is one of IPv4 (section 5)."""
        mapped = self.ip.ipv4_mapped if isinstance(self.ip, ipaddress.IPv6Address) else None
        return mapped or self.ip

    @cached_property
    def _parts(self) -> tuple[str, str]:
        given = self.sender.strip().removeprefix("<").removesuffix(">")
        local_part, _, domain = given.rpartition("@")
        return local_part or "postmaster", domain if given else self.helo  # section 4.3

    @property
    def local_part(self) -> str:
        return self._parts[0]

    @cached_property
    def domain(self) -> str:
        """The domain that is checked, as A-labels (section 4.3)."""
        name = self._parts[1].removesuffix(".")
        try:
            return name if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return name

    def macro_values(self, domain: str, name_of_client: Callable[[], str]) -> Values:
        """Return each macro's value within the record of `domain`."""
        return {
            "s": lambda: f"{self.local_part}@{self.domain}",
            "l": lambda: self.local_part,
            "o": lambda: self.domain,
            "d": lambda: domain,
            "i": self._dotted,
            "p": name_of_client,
            "v": lambda: "in-addr" if self.client.version == 4 else "ip6",
            "h": lambda: self.helo,
            "c": lambda: str(self.client),
            "r": lambda: self.receiver,
            "t": lambda: str(self.at),
        }

    def _dotted(self) -> str:
        if self.client.version == 4:
            return str(self.client)
        return ".".join(self.client.exploded.replace(":", ""))
