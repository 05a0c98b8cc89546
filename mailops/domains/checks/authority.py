"""What the domain's own name servers say beside what a resolver does: a change that has not spread, a server out of step."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mailops.domains.checks.verdict import Problem, Seen, Verdict, unanswered, verdict_of
from mailops.domains.models import CheckStatus
from mailops.lib import egress
from mailops.lib.dns_answers import Answer, Asks
from mailops.lib.egress import EgressFault
from mailops.lib.resolver import Resolver

RFC = "RFC 1034 section 4.3.5"
PORT = 53
MAX_SERVERS = 6
QUERY_SECONDS = 1.5
ASKERS = 8


@dataclass(frozen=True)
class Difference:
    """A record that name servers don't agree on."""

    host: str
    rtype: str
    by_resolver: tuple[str, ...]
    by_server: dict[str, tuple[str, ...]]  # name of an authoritative server → what it shows

    @property
    def is_spreading(self) -> bool:
        """Tell whether the authoritative servers agree, so that only time is missing."""
        return len(set(self.by_server.values())) == 1

    @property
    def lines(self) -> list[str]:
        rows = {"the resolver": self.by_resolver, **self.by_server}
        return [
            f"{name}: {self.rtype} {self.host} {_shown(values)}" for name, values in rows.items()
        ]


@dataclass(frozen=True)
class Authority:
    verdict: Verdict
    differences: tuple[Difference, ...]

    @property
    def is_told(self) -> bool:
        return self.verdict.status is not CheckStatus.UNKNOWN


def _shown(values: Iterable[str]) -> str:
    return " | ".join(values) or "nothing"


def check_authority(
    domain: str, seen: Sequence[Seen], asks: Asks, *, port: int = PORT
) -> Authority | None:
    """Ask the name servers of `domain` for what was `seen`; nothing where none is named."""
    told_of = _name_servers(domain, asks)
    if not told_of.is_known:
        return Authority(unanswered("authority", f"the NS of {domain}", told_of, rfc=RFC), ())
    names = told_of.values[:MAX_SERVERS]
    if not names:
        return None
    with ThreadPoolExecutor(ASKERS) as pool:
        ways = pool.map(lambda name: _reach(name, port, domain, asks), names)
        reached = dict(zip(names, ways, strict=True))
        servers = {name: server for name, server in reached.items() if isinstance(server, Resolver)}
        below = [look for look in seen if _is_below(look.host, domain) and look.answer.is_known]
        questions = [(name, look) for look in below for name in servers]
        answers = list(pool.map(lambda of: servers[of[0]](of[1].host, of[1].rtype), questions))
    told: dict[int, dict[str, Answer]] = {}
    for (name, look), answer in zip(questions, answers, strict=True):
        told.setdefault(id(look), {})[name] = answer
    differences = tuple(
        found for look in below if (found := _difference(look, told.get(id(look), {})))
    )
    silent = [f"{name}: {fault}" for name, fault in reached.items() if isinstance(fault, str)]
    silent += [
        f"{name}: {answer.detail}"
        for (name, _), answer in zip(questions, answers, strict=True)
        if not answer.is_known
    ]
    is_told = any(answer.is_known for answer in answers)
    evidence = [line for one in differences for line in one.lines] + list(dict.fromkeys(silent))
    return Authority(_verdict(domain, names, differences, evidence, is_told=is_told), differences)


def _name_servers(domain: str, asks: Asks) -> Answer:
    """Return the NS of the zone that holds `domain`."""
    labels = domain.split(".")
    for start in range(max(1, len(labels) - 1)):
        answer = asks(".".join(labels[start:]), "NS")
        if answer.is_found or not answer.is_known:
            break
    return answer


def _reach(name: str, port: int, domain: str, asks: Asks) -> Resolver | str:
    """Return what asks the server `name` about `domain`, or why it may or can not be asked."""
    try:
        endpoint = egress.resolve(name, port, asks=asks)
    except EgressFault as fault:
        return fault.detail
    addresses = tuple((address, port) for address in endpoint.addresses[:2])
    server = Resolver(addresses, query_seconds=QUERY_SECONDS, attempts=1, is_recursive=False)
    probe = server(domain, "SOA")
    return server if probe.is_known else probe.detail


def _is_below(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _difference(look: Seen, told: dict[str, Answer]) -> Difference | None:
    by_server = {name: answer.values for name, answer in told.items() if answer.is_known}
    if all(values == look.answer.values for values in by_server.values()):
        return None
    return Difference(look.host, look.rtype, look.answer.values, by_server)


def _verdict(
    domain: str,
    names: Sequence[str],
    differences: Sequence[Difference],
    evidence: Sequence[str],
    *,
    is_told: bool,
) -> Verdict:
    if not is_told:
        return Verdict(
            check="authority",
            status=CheckStatus.UNKNOWN,
            sentence=f"None of the name servers of {domain} could be asked from here.",
            fix="Nothing has to be changed at the domain; what the resolver shows was checked.",
            rfc=RFC,
            evidence=tuple(evidence),
        )
    problems = [_problem(difference) for difference in differences]
    well = f"{len(names)} name servers of {domain} and the resolver show the same."
    return verdict_of("authority", problems, well=well, rfc=RFC, evidence=evidence)


def _problem(difference: Difference) -> Problem:
    what = f"{difference.rtype} {difference.host}"
    if difference.is_spreading:
        return Problem(
            CheckStatus.WARNING,
            f"A change of {what} has not spread: the resolver still shows the old record.",
            "Wait until the old record's time to live is over, then check again.",
        )
    return Problem(
        CheckStatus.WARNING,
        f"The name servers show different records for {what}: what receivers see is chance.",
        "Have the DNS provider bring its servers into step.",
    )
