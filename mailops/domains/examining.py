"""Looks at all that a domain should publish, many questions at a time and within a time limit; touches no database."""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from time import time

from django.conf import settings

from mailops.domains.checks.alignment import Facts, check_alignment, facts_of
from mailops.domains.checks.authority import Difference, check_authority
from mailops.domains.checks.bimi import check_bimi
from mailops.domains.checks.bulk_senders import check_bulk_senders
from mailops.domains.checks.dkim import check_dkim
from mailops.domains.checks.dmarc import check_dmarc, walk_tree
from mailops.domains.checks.dnsbl import Lists, check_dnsbl
from mailops.domains.checks.dnssec import AsksSigned, check_dnssec, read_anchors
from mailops.domains.checks.exchange import (
    check_mx,
    check_return_path,
    is_unset,
    no_return_path,
)
from mailops.domains.checks.reverse import check_ptr, sending_addresses
from mailops.domains.checks.spf import check_spf
from mailops.domains.checks.transport_security import (
    Fetches,
    check_mta_sts,
    check_tls_rpt,
    fetch_policy,
)
from mailops.domains.checks.verdict import Problem, Seen, Verdict, verdict_of
from mailops.domains.expected import Expectations
from mailops.domains.models import NOT_OURS_TO_KNOW, SEVERITY, CheckStatus
from mailops.lib.dns_answers import Asks
from mailops.lib.resolver import Memo, Resolver, resolve, the_resolver

SECONDS = 15  # after which nothing more is asked
ASKERS = 16
Look = tuple[Verdict, Seen]


@dataclass(frozen=True)
class Examination:
    """What one look at DNS gave."""

    verdicts: tuple[Verdict, ...]
    seen: tuple[Seen, ...]
    differences: tuple[Difference, ...] = ()  # between the domain's own name servers and ours
    facts: Facts = field(default_factory=Facts)  # of DMARC
    # kinds of checks of which it isn't known what there is to check
    silent_kinds: frozenset[str] = frozenset()
    asked_authority: bool = False  # whether the domain's own name servers told anything

    @property
    def status(self) -> CheckStatus:
        return worst((verdict.check, verdict.status) for verdict in self.verdicts)


def worst(statuses: Iterable[tuple[str, CheckStatus]]) -> CheckStatus:
    """Return the most serious status of checks; not known when there is none."""
    counted = (
        status
        for check, status in statuses
        if status is not CheckStatus.UNKNOWN or check not in NOT_OURS_TO_KNOW
    )
    return max(counted, key=lambda status: SEVERITY[status], default=CheckStatus.UNKNOWN)


def examine(
    expected: Expectations, asks: Asks = resolve, *, fetches: Fetches = fetch_policy
) -> Examination:
    """Look at all that `expected` names, through `asks`; policies are fetched by `fetches`."""
    asks_ours = asks is resolve
    signed = _signed(asks)
    asks = Memo(asks, seconds=SECONDS)
    with ThreadPoolExecutor(ASKERS) as pool:
        looks = _Looks(expected, asks, pool, fetches)
        dnssec = [pool.submit(_check_dnssec, expected, asks, signed)] if signed else []
        verdicts = [*looks.verdicts(), *(future.result() for future in dnssec)]
        seen = looks.seen()
        authority = check_authority(expected.domain, seen, asks) if asks_ours else None
    if authority:
        verdicts.append(authority.verdict)
    return Examination(
        verdicts=(*verdicts, check_bulk_senders(expected.domain, verdicts)),
        seen=tuple(seen),
        differences=authority.differences if authority else (),
        facts=looks.facts(),
        silent_kinds=frozenset() if looks.has_addresses else frozenset({"ptr"}),
        asked_authority=authority is not None and authority.is_told,
    )


def _signed(asks: Asks) -> AsksSigned | None:
    """Return what asks the same servers for signatures, too."""
    resolver = the_resolver() if asks is resolve else asks
    return resolver.signed if isinstance(resolver, Resolver) else None


def _check_dnssec(expected: Expectations, asks: Asks, signed: AsksSigned) -> Verdict:
    return check_dnssec(
        expected.domain,
        asks,
        signed,
        anchors=read_anchors(settings.MAILOPS_TRUST_ANCHORS),
        now=time(),
        selectors=[selector.name for selector in expected.selectors],
        seconds=SECONDS,
    )


class _Looks:
    """The checks of one domain, begun at once."""

    def __init__(
        self, expected: Expectations, asks: Asks, pool: ThreadPoolExecutor, fetches: Fetches
    ) -> None:
        self.expected, self.asks = expected, asks
        domain = expected.domain
        self._walk = pool.submit(walk_tree, domain, asks)
        self._spf = {
            item.host: pool.submit(
                check_spf,
                item.host,
                item.needs,
                asks,
                check="spf" if item.host == domain else f"spf:{item.host}",
                needed_by=item.needed_by,
                is_ours=expected.is_ours,
            )
            for item in expected.spf
        }
        self._dkim = [
            pool.submit(check_dkim, domain, item.name, item.record, asks, needed_by=item.needed_by)
            for item in expected.selectors
        ]
        self._paths = [
            pool.submit(check_return_path, item.host, item.exchange, asks, needed_by=item.needed_by)
            for item in expected.return_paths
            if not is_unset(item.host)
        ]
        self._mx = pool.submit(check_mx, domain, asks)
        self._sending = pool.submit(self._check_addresses)
        self._dmarc = pool.submit(self._check_dmarc)
        self._optional = [
            pool.submit(lambda: check_bimi(self._walk.result(), asks)),
            pool.submit(check_mta_sts, domain, asks, fetches),
            pool.submit(check_tls_rpt, domain, asks),
        ]

    def _check_dmarc(self) -> Look:
        return check_dmarc(
            self._walk.result(),
            self.asks,
            least=self.expected.least_policy,
            needed_by=self.expected.policy_needed_by,
        )

    def _check_addresses(self) -> list[Verdict]:
        """Check the addresses that send: their names, and whether a list names them."""
        hosts = [item.host for item in self.expected.spf]
        needs = [need for item in self.expected.spf for need in item.needs]
        addresses = sending_addresses(hosts, needs, self.asks)
        named = [check_ptr(ip, self.asks, is_ours=ours) for ip, ours in addresses.items()]
        lists = Lists(settings.MAILOPS_ADDRESS_DNSBLS, settings.MAILOPS_DOMAIN_DNSBLS)
        listed = check_dnsbl(self.expected.domain, addresses, lists, self.asks)
        return [*named, listed] if listed else named

    @property
    def has_addresses(self) -> bool:
        """Tell whether DNS told which addresses send."""
        return all(look.result()[1].answer.is_known for look in self._spf.values())

    def _all(self) -> list[Look]:
        futures: list[Future[Look]] = [
            *self._spf.values(),
            *self._dkim,
            self._dmarc,
            *self._paths,
            self._mx,
            *self._optional,
        ]
        return [future.result() for future in futures]

    def verdicts(self) -> list[Verdict]:
        unsigned = [] if self._dkim else [_no_selector(self.expected)]
        is_lost = any(is_unset(item.host) for item in self.expected.return_paths)
        return [
            self._alignment(),
            *unsigned,
            *([no_return_path()] if is_lost else []),
            *(verdict for verdict, _ in self._all()),
            *self._sending.result(),
        ]

    def _alignment(self) -> Verdict:
        looks = [look.result()[0] for look in (*self._spf.values(), *self._dkim)]
        verdicts = {verdict.check: verdict for verdict in looks}
        return check_alignment(self.expected.domain, self.expected.ways, self.facts(), verdicts)

    def facts(self) -> Facts:
        return facts_of(self._walk.result(), self.expected.ways, self.asks)

    def seen(self) -> list[Seen]:
        return [seen for _, seen in self._all()]


def _no_selector(expected: Expectations) -> Verdict:
    problem = Problem(
        CheckStatus.WARNING,
        f"No DKIM selector is named for {expected.domain}, so no key can be checked; Gmail and Yahoo demand DKIM of bulk senders.",
        "Name the selector your transport signs with, under “Also expect” on the domain's page."
        if expected.is_ours
        else "Name the selector that its mail is signed with by --selector.",
    )
    return verdict_of("dkim", [problem], well="", rfc="RFC 6376")
