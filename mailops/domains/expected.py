"""Derives what a domain should publish from what our transports and streams need of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings

from mailops.domains.models import Domain, Requirement, SigningKey
from mailops.lib.mailbox_providers import registrable_domain
from mailops.protocol.dns_records import DMARC_POLICIES

Kind = Requirement.Kind
TRANSPORT = "transport: "  # what transports write down begins so
SIGNED_HERE = "mailops itself, which signs with it"


@dataclass(frozen=True)
class Selector:
    name: str
    record: str  # empty: any key will do
    needed_by: str


@dataclass(frozen=True)
class SpfHost:
    host: str
    needs: tuple[str, ...]  # includes' domains, addresses, networks
    needed_by: str


@dataclass(frozen=True)
class ReturnPath:
    host: str
    exchange: str  # empty: any MX will do
    needed_by: str


@dataclass(frozen=True)
class Way:
    """One way in which mail of the domain leaves, as far as DMARC sees it."""

    name: str  # "transport: Relay"
    return_path: str  # empty: the provider's own
    selectors: tuple[str, ...]
    signs_here: bool
    selectors_named: str = "on the transport"


@dataclass(frozen=True)
class Expectations:
    domain: str
    spf: tuple[SpfHost, ...]
    selectors: tuple[Selector, ...]
    return_paths: tuple[ReturnPath, ...]
    least_policy: str
    policy_needed_by: str
    ways: tuple[Way, ...]
    is_ours: bool = True  # False: mailops has no page of it; it is checked from a shell alone


def expectations_of(domain: Domain) -> Expectations:
    """Return what `domain` should publish, by its requirements."""
    return expectations(
        domain.name,
        domain.requirements.order_by("kind", "host", "value", "id"),
        domain.signing_keys.signing().order_by("-algorithm"),
    )


def expectations(
    name: str, requirements: Iterable[Requirement] = (), keys: Iterable[SigningKey] = ()
) -> Expectations:
    """Return what the domain `name` should publish, by `requirements`, the `keys` we sign with and the return path."""
    rows, keys = list(requirements), list(keys)
    return_paths = _return_paths(_of_kind(rows, Kind.RETURN_PATH))
    policies = [row for row in rows if row.kind == Kind.DMARC and row.value in DMARC_POLICIES]
    return Expectations(
        domain=name,
        spf=_spf_hosts(name, rows, return_paths),
        selectors=_selectors(name, _of_kind(rows, Kind.DKIM_SELECTOR), keys),
        return_paths=return_paths,
        least_policy=max((row.value for row in policies), key=DMARC_POLICIES.index, default="none"),
        policy_needed_by=_needed_by(policies),
        ways=_ways(name, rows, [key.selector for key in keys]),
    )


def _ways(name: str, rows: list[Requirement], keys: list[str]) -> tuple[Way, ...]:
    """Return how each transport sends; selectors that people name may be any transport's."""
    of_transports = [row for row in rows if row.needed_by.startswith(TRANSPORT)]
    of_people = [row for row in rows if row not in of_transports]
    anywhere = _named(name, of_people)
    found = []
    for needed_by in dict.fromkeys(row.needed_by for row in of_transports):
        own = [row for row in of_transports if row.needed_by == needed_by]
        signs_here = any(row.value == Requirement.SIGNED_HERE for row in _of_kind(own, Kind.SENDS))
        paths = [row.host.lower() for row in own if row.kind == Kind.RETURN_PATH]
        selectors = [*(keys if signs_here else []), *_named(name, own), *anywhere]
        path = next(iter(paths), "")
        found.append(Way(needed_by, path, tuple(dict.fromkeys(selectors)), signs_here))
    if found:
        return tuple(found)
    paths = [path.host for path in _return_paths(_of_kind(rows, Kind.RETURN_PATH))]
    selectors = list(dict.fromkeys([*keys, *anywhere]))
    return tuple(
        Way("this installation", path, tuple(selectors), signs_here=True) for path in paths
    )


def _named(name: str, rows: list[Requirement]) -> list[str]:
    return [_selector(row.host, name) for row in _of_kind(rows, Kind.DKIM_SELECTOR)]


def _of_kind(rows: list[Requirement], kind: str) -> list[Requirement]:
    return [row for row in rows if row.kind == kind]


def _return_paths(rows: list[Requirement]) -> tuple[ReturnPath, ...]:
    if not rows:
        return (ReturnPath(settings.MAILOPS_RETURN_PATH_HOST.lower(), "", "this installation"),)
    hosts = dict.fromkeys(row.host.lower() for row in rows)
    return tuple(
        ReturnPath(
            host,
            next((row.value for row in rows if row.host.lower() == host and row.value), ""),
            _needed_by([row for row in rows if row.host.lower() == host]),
        )
        for host in hosts
    )


def _spf_hosts(
    name: str, rows: list[Requirement], return_paths: tuple[ReturnPath, ...]
) -> tuple[SpfHost, ...]:
    """Return the hosts that need an SPF record: the domain, and each return path of the same organization, which is what receivers really look at."""
    senders = [row for row in rows if row.kind in {Kind.SPF_INCLUDE, Kind.SPF_ADDRESS}]
    ours = registrable_domain(name)
    inside = [path.host for path in return_paths if registrable_domain(path.host) == ours]
    hosts = dict.fromkeys([name, *inside, *(row.host.lower() for row in senders if row.host)])
    found = []
    for host in hosts:
        own = [
            row
            for row in senders
            if row.host.lower() == host
            or (not row.host and (host == name or (host in inside and _uses(rows, row, host))))
        ]
        needs = tuple(dict.fromkeys(row.value.lower() for row in own))
        found.append(SpfHost(host, needs, _needed_by(own)))
    return tuple(found)


def _uses(rows: list[Requirement], row: Requirement, path: str) -> bool:
    """Tell whether whoever wrote `row` sends with the return path `path`; people's rows are for all."""
    own = [other for other in rows if other.needed_by == row.needed_by]
    paths = {other.host.lower() for other in _of_kind(own, Kind.RETURN_PATH)}
    return path in paths or (not paths and not _of_kind(own, Kind.SENDS))


def _selectors(name: str, rows: list[Requirement], keys: list[SigningKey]) -> tuple[Selector, ...]:
    """Return each selector once; of one that we sign with, our key is the record, whoever else expects it."""
    ours = tuple(Selector(key.selector, key.record, SIGNED_HERE) for key in keys)
    signing = {key.selector for key in keys}
    hosts = dict.fromkeys(_selector(row.host, name) for row in rows)
    return ours + tuple(
        Selector(
            host,
            next((r.value for r in rows if _selector(r.host, name) == host and r.value), ""),
            _needed_by([r for r in rows if _selector(r.host, name) == host]),
        )
        for host in hosts
        if host not in signing
    )


def _selector(host: str, name: str) -> str:
    """Return the selector in `s1`, `s1._domainkey` or `s1._domainkey.acme.example`."""
    return host.lower().removesuffix(f".{name}").removesuffix("._domainkey")


def _needed_by(rows: Iterable[Requirement]) -> str:
    return " and ".join(dict.fromkeys(row.needed_by for row in rows))
