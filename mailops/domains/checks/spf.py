"""SPF: one record, within its limits, that lets in everybody who sends for the domain (RFC 7208)."""

import ipaddress
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from mailops.domains.checks.spf_needs import Needs, network_of
from mailops.domains.checks.verdict import Problem, Seen, Verdict, unanswered, verdict_of
from mailops.domains.models import CheckStatus, DnsRecord
from mailops.lib.dns_answers import Answer, Asks
from mailops.protocol.spf import MAX_LOOKUPS, MAX_NAMES, MAX_VOIDS
from mailops.protocol.spf_record import Network, Spf, SpfTerm, is_spf, parse_spf

RFC = "RFC 7208"
NOBODY = "v=spf1 ~all"  # authorises no one


@dataclass
class Walk:
    """Follows a record's includes and counts what a receiver would have to ask at worst."""

    asks: Asks
    lookups: int = 0
    voids: int = 0
    names: set[str] = field(default_factory=set)
    networks: list[Network] = field(default_factory=list)  # let in
    named: list[Network] = field(default_factory=list)  # let in or kept out
    lines: list[str] = field(default_factory=list)  # the tree, two spaces a level
    problems: list[str] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)  # terms that name a domain without a record
    open_to_all: list[str] = field(default_factory=list)  # included domains that end with +all
    asks_the_sender: list[str] = field(default_factory=list)  # terms that ask by who sends
    failure: tuple[str, Answer] | None = None  # a question that DNS didn't answer

    def follow(self, domain: str, record: Spf, above: tuple[str, ...] = ()) -> None:
        self.lines.append(f"{'  ' * len(above)}{domain}: {record.text}")
        self.problems += [f"{problem} (in {domain})" for problem in record.problems]
        if above and record.all_qualifier == "+":
            self.open_to_all.append(domain)
        for term in self._counted(record):
            self._step(domain, term, (*above, domain))

    @staticmethod
    def _counted(record: Spf) -> Iterator[SpfTerm]:
        """Yield the terms a receiver may come to: nothing behind `all`, a redirect only without it."""
        yield from record.mechanisms
        if record.redirect:
            yield record.redirect

    def _step(self, domain: str, term: SpfTerm, above: tuple[str, ...]) -> None:
        let_in = len(self.networks), set(self.names)
        if term.network:
            self._name(term.network)
        if term.has_macro or term.name in {"exists", "ptr"}:
            self.asks_the_sender.append(term.text)
        if term.asks_dns:
            self._ask_for(domain, term, above)
        if term.qualifier != "+":  # counted like the others, but it keeps out
            del self.networks[let_in[0] :]
            self.names = let_in[1]

    def _name(self, network: Network) -> None:
        self.networks.append(network)
        self.named.append(network)

    def _ask_for(self, domain: str, term: SpfTerm, above: tuple[str, ...]) -> None:
        self.lookups += 1
        if term.has_macro or self.lookups > MAX_LOOKUPS * 2:
            return
        name = term.domain or domain
        if term.name in {"include", "redirect"}:
            self._include(name, term, above)
        elif term.name == "a":
            self._addresses(name, term)
        elif term.name == "mx":
            self._exchanges(name, term)
        elif term.name == "exists":
            self._ask(name, "A")

    def _include(self, name: str, term: SpfTerm, above: tuple[str, ...]) -> None:
        self.names.add(name)
        if name in above:
            self.problems.append(f"{term.text} leads back to {name}, in a circle")
            return
        answer = self._ask(name, "TXT")
        records = [value for value in answer.values if is_spf(value)]
        if not answer.is_known:
            return
        if len(records) == 1:
            self.follow(name, parse_spf(records[0]), above)
        elif records:
            self.problems.append(f"{name}, which {term.text} names, has {len(records)} SPF records")
        else:
            self.dead.add(term.text)
            self.problems.append(f"{name}, which {term.text} names, has no SPF record")

    def _addresses(self, name: str, term: SpfTerm) -> None:
        answers = [self._ask(name, rdtype, may_be_void=False) for rdtype in ("A", "AAAA")]
        if all(answer.is_known and not answer.is_found for answer in answers):
            self.voids += 1
        for prefix, answer in zip(term.prefixes, answers, strict=True):
            for value in answer.values:
                self._name(ipaddress.ip_network(f"{value}/{prefix}", strict=False))

    def _exchanges(self, name: str, term: SpfTerm) -> None:
        exchanges = self._ask(name, "MX").values
        if len(exchanges) > MAX_NAMES:
            self.problems.append(
                f"{name}, which {term.text} asks, has {len(exchanges)} MX, more than {MAX_NAMES}"
            )
            return
        for value in exchanges:
            exchange = value.partition(" ")[2].rstrip(".")
            if exchange:
                self._addresses(exchange, term)

    def _ask(self, name: str, rdtype: str, *, may_be_void: bool = True) -> Answer:
        answer = self.asks(name, rdtype)
        if not answer.is_known:
            self.failure = self.failure or (name, answer)
        elif not answer.is_found and may_be_void:
            self.voids += 1
        return answer

    @property
    def is_explained(self) -> bool:
        """Tell whether it was seen here why receivers answer permerror."""
        too_many = self.lookups > MAX_LOOKUPS or self.voids > MAX_VOIDS
        return bool(self.problems) or too_many


def term_for(need: str) -> str:
    """Return the SPF term that lets `need` in: an include's domain, an address or a network."""
    network = network_of(need)
    if network is None:
        return f"include:{need}"
    is_single = network.num_addresses == 1
    return f"ip{network.version}:{network.network_address if is_single else network}"


def record_with(
    missing: Collection[str],
    records: Sequence[str],
    dead: Collection[str] = (),
    refusing: Collection[str] = (),
) -> str:
    """Return the one record to publish: what works of those that are there, what is missing, and a closing that refuses others.

    What is missing stands before the `refusing` terms, which would keep it out.
    """
    words = [word for record in records for word in record.split()[1:]]
    there = [
        word for word in words if word not in dead and not parse_spf(f"v=spf1 {word}").problems
    ]
    closings = [word for word in there if word.lstrip("+-~?").lower() == "all"]
    terms = [word for word in there if word not in closings]
    place = next((n for n, word in enumerate(terms) if word in refusing), len(terms))
    terms[place:place] = [term_for(need) for need in missing]
    closing = next((word for word in closings if word[0] in "-~"), "~all")
    if not closings and any(word.lower().startswith("redirect=") for word in terms):
        closing = ""
    return " ".join(["v=spf1", *dict.fromkeys(terms), closing]).strip()


def _meaning(record: str) -> tuple[object, ...]:
    """Return what receivers evaluate of a record, whatever stands around it."""
    spf = parse_spf(record)
    return tuple(dict.fromkeys(spf.mechanisms)), spf.redirect, spf.explanation, spf.problems


def check_spf(
    host: str,
    needs: Sequence[str],
    asks: Asks,
    *,
    check: str = "spf",
    needed_by: str = "",
    is_ours: bool = True,
) -> tuple[Verdict, Seen]:
    """Check the SPF record at `host`, which must let in each of `needs`; one that isn't ours has no page."""
    answer = asks(host, "TXT")
    records = tuple(value for value in answer.values if is_spf(value))
    walk = Walk(asks)
    for record in records:
        walk.follow(host, parse_spf(record))
    sought = Needs(host, asks, walk.named, walk.networks, walk.names)
    sought.look_for(needs)
    letting_in = (
        record_with(sought.missing, records, walk.dead, sought.refusing)
        if answer.is_known
        else record_with(needs, ())
    )
    seen = Seen(
        purpose=DnsRecord.Purpose.SPF,
        host=host,
        rtype="TXT",
        answer=answer,
        values=records,
        to_publish=_to_publish(letting_in, records),
        needed_by=needed_by,
    )
    if not answer.is_known:
        return unanswered(check, f"the SPF record of {host}", answer, rfc=RFC), seen
    walk.failure = walk.failure or sought.failure
    found = (
        _problems(host, records, walk, sought, seen.to_publish)
        if records
        else [_none(host, seen.to_publish, is_ours=is_ours)]
    )
    return _verdict(check, host, walk, [*_misread(host, answer.values), *found]), seen


def _verdict(check: str, host: str, walk: Walk, problems: Sequence[Problem]) -> Verdict:
    """Return what is concluded; nothing, where DNS left a question open and nothing is wrong for certain."""
    if walk.failure and not any(problem.status is CheckStatus.ERROR for problem in problems):
        name, answer = walk.failure
        return unanswered(check, f"{name}, which the SPF record names", answer, rfc=RFC)
    well = f"One SPF record with {walk.lookups} of {MAX_LOOKUPS} lookups lets in all that send for {host}."
    evidence = [
        *walk.lines,
        f"{walk.lookups} of {MAX_LOOKUPS} lookups, {walk.voids} of {MAX_VOIDS} without an answer",
    ]
    return verdict_of(check, problems, well=well, rfc=RFC, evidence=evidence)


def _to_publish(letting_in: str, records: Sequence[str]) -> str:
    """Return the record that lets in all, as it is written in DNS where that means the same; none for nobody."""
    if len(records) == 1 and _meaning(records[0]) == _meaning(letting_in):
        return records[0]
    return "" if letting_in == NOBODY and not records else letting_in


def _misread(host: str, values: Sequence[str]) -> Iterator[Problem]:
    for value in values:
        if not is_spf(value) and value.lstrip(' "').lower().startswith("v=spf1"):
            yield Problem(
                CheckStatus.WARNING,
                f"“{value[:60]}” at {host} is not read as an SPF record.",
                "Begin it with “v=spf1” and a space, without quotes.",
            )


def _none(host: str, to_publish: str, *, is_ours: bool) -> Problem:
    if to_publish:
        fix = f"Publish “{to_publish}” as TXT at {host}."
    elif is_ours:
        fix = (
            "First let mailops know who sends for it: route a stream of the domain through a transport, or name an SPF"
            " include or address under “Also expect” on the domain's page. Then mailops says which record to publish."
        )
    else:
        fix = (
            f"Publish one as TXT at {host}: “v=spf1”, then an “include:”, “ip4:” or “ip6:” for each that sends for it,"
            " then “~all”."
        )
    return Problem(
        CheckStatus.ERROR,
        f"{host} has no SPF record, so receivers can't tell who may send for it.",
        fix,
    )


def _problems(
    host: str, records: Sequence[str], walk: Walk, sought: Needs, to_publish: str
) -> Iterator[Problem]:
    if len(records) > 1:
        yield Problem(
            CheckStatus.ERROR,
            f"{host} has {len(records)} SPF records; receivers then use none of them (permerror).",
            f"Join them into one, “{to_publish}”, and delete the others.",
        )
        return
    for problem in walk.problems:
        yield Problem(
            CheckStatus.ERROR,
            f"{problem[0].upper()}{problem[1:]}: receivers answer permerror.",
            "Correct or remove that term.",
        )
    if sought.missing and not walk.failure:
        yield _missing(walk, sought)
    if not walk.is_explained:
        for reason in sorted(sought.permerrors):
            yield Problem(
                CheckStatus.WARNING,
                f"Receivers may answer permerror: {reason}",
                "Remove the terms that name hosts which are gone, and those that no longer send for you.",
            )
    for domain in walk.open_to_all:
        yield Problem(
            CheckStatus.ERROR,
            f"{domain}, which the record includes, ends with “+all”: everybody in the world can send as this domain.",
            f"Remove the include that leads to {domain}, or have its owner correct it.",
        )
    yield from _limits(walk)
    yield from _closing(parse_spf(records[0]))


def _missing(walk: Walk, sought: Needs) -> Problem:
    terms = ", ".join(map(term_for, sought.missing))
    if walk.asks_the_sender:
        asking = ", ".join(f"“{text}”" for text in walk.asks_the_sender[:3])
        return Problem(
            CheckStatus.WARNING,
            f"Whether the record lets in {terms} isn't known: {asking} asks anew for each mail.",
            f"Look at the SPF result of a mail that arrived; if it is not “pass”, add {terms} before the closing “all”.",
        )
    refusing = " and ".join(f"“{text}”" for text in sorted(sought.refusing))
    return Problem(
        CheckStatus.ERROR,
        f"The record does not let in {terms}{f', since {refusing} comes first' if refusing else ''}.",
        f"Add {terms} before {refusing or 'the closing “all”'}.",
    )


def _limits(walk: Walk) -> Iterator[Problem]:
    if walk.lookups > MAX_LOOKUPS:
        yield Problem(
            CheckStatus.ERROR,
            f"The record takes {walk.lookups} DNS lookups and only {MAX_LOOKUPS} are allowed: receivers answer permerror.",
            "Remove includes that no longer send for you, or replace them by their addresses.",
        )
    elif walk.lookups >= MAX_LOOKUPS - 1:
        yield Problem(
            CheckStatus.WARNING,
            f"The record takes {walk.lookups} of {MAX_LOOKUPS} DNS lookups: the next include may break it.",
            "Remove includes that no longer send for you.",
        )
    if walk.voids > MAX_VOIDS:
        yield Problem(
            CheckStatus.ERROR,
            f"{walk.voids} of its lookups find nothing and only {MAX_VOIDS} may: receivers may answer permerror.",
            "Remove the terms that name hosts which are gone.",
        )


def _closing(parsed: Spf) -> Iterator[Problem]:
    match parsed.all_qualifier:
        case "+":
            yield Problem(
                CheckStatus.ERROR,
                "“+all” lets everybody in the world send as this domain.",
                "Replace “+all” by “~all” or “-all”.",
            )
        case "?":
            yield Problem(
                CheckStatus.WARNING,
                "“?all” says nothing about senders that aren't named.",
                "Replace “?all” by “~all” or “-all”.",
            )
        case "" if not parsed.redirect:
            yield Problem(
                CheckStatus.WARNING,
                "The record has no closing “all”, which counts as “?all”.",
                "Add “~all” or “-all” at its end.",
            )
    if any(term.name == "ptr" and not term.is_modifier for term in parsed.terms):
        yield Problem(
            CheckStatus.WARNING,
            "“ptr” is slow and must not be used any more (section 5.5).",
            "Remove “ptr”.",
        )
