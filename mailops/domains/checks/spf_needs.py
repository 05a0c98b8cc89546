"""Tells whether an SPF record lets in who sends for a domain, as a receiver would find it."""

import ipaddress
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from mailops.lib.dns_answers import Answer, Asks
from mailops.protocol.spf import Evaluation, Result, evaluate
from mailops.protocol.spf_envelope import Envelope, IPAddress
from mailops.protocol.spf_record import Network

_MOST_ASKED = 64  # addresses of one network


@dataclass
class Needs:
    """Asks SPF for each address that sends as `host`; a network is asked for at each place where the result may change."""

    host: str
    asks: Asks
    named: Sequence[Network]  # all that the record's tree names
    # those of them that it lets in, as far as it can be read without an address
    let_in: Sequence[Network]
    names: Collection[str]  # domains that it includes
    missing: list[str] = field(default_factory=list)
    refusing: set[str] = field(default_factory=set)  # terms that keep out an address that is needed
    permerrors: set[str] = field(default_factory=set)  # sentences
    failure: tuple[str, Answer] | None = None  # a question that DNS didn't answer
    _silent: tuple[str, Answer] | None = None

    def look_for(self, needs: Sequence[str]) -> None:
        self.missing += [need for need in needs if not self._lets_in(need)]

    def _lets_in(self, need: str) -> bool:
        network = network_of(need)
        if network is None:
            return need in self.names
        return all(self._passes(address) for address in self._parts(network))

    def _parts(self, network: Network) -> list[IPAddress]:
        """Return an address of each part of `network` that the record may judge apart from the others."""
        return sorted({network[0], *self._edges(network)})[:_MOST_ASKED]

    def _edges(self, network: Network) -> Iterator[IPAddress]:
        for known in self.named:
            if known.version == network.version and known.subnet_of(network):  # type: ignore[arg-type]
                yield known[0]
                if known[-1] != network[-1]:
                    yield known[-1] + 1

    def _passes(self, address: IPAddress) -> bool:
        said = evaluate(Envelope(address, f"postmaster@{self.host}", self.host), self._asked)
        if said.result is Result.TEMPERROR:
            self.failure = self.failure or self._silent
        # what is wrong is told; who is missing can be seen still
        if said.result is Result.PERMERROR:
            self.permerrors.add(said.reason)
            return any(address in known for known in self.let_in)
        if said.result in {Result.FAIL, Result.SOFTFAIL, Result.NEUTRAL} and not _is_closing(said):
            self.refusing.add(said.mechanism)
        return said.result is Result.PASS and not _is_closing(said)

    def _asked(self, name: str, rdtype: str) -> Answer:
        answer = self.asks(name, rdtype)
        if not answer.is_known:
            self._silent = (name, answer)
        return answer


def _is_closing(said: Evaluation) -> bool:
    """Tell whether nobody was named: “all” decided, or nothing did. `+all` lets in whoever it is."""
    return said.mechanism.lstrip("+-~?").lower() in {"", "all"}


def network_of(text: str) -> Network | None:
    """Return the address or network that `text` is; None for a name."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
