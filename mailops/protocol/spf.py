"""Evaluates SPF as a receiver does: the check_host() of RFC 7208.

Our own, and not pyspf: that asks DNS through a module's globals with time-outs and retries of its own, so that silence
can't be told from absence, and neither its limits nor its questions can be shown.
"""

import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Protocol

from mailops.protocol.spf_envelope import Envelope
from mailops.protocol.spf_macros import Values, expand, is_askable, target_name
from mailops.protocol.spf_record import Spf, SpfTerm, is_explanation, is_spf, parse_spf

MAX_LOOKUPS = 10  # terms that ask DNS (section 4.6.4)
MAX_VOIDS = 2  # questions that find nothing (section 4.6.4)
MAX_NAMES = 10  # of one MX or PTR answer (section 4.6.4)


class Result(StrEnum):
    """The results of section 2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105 - the RFC's word
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


_BY_QUALIFIER = {
    "+": Result.PASS,
    "-": Result.FAIL,
    "~": Result.SOFTFAIL,
    "?": Result.NEUTRAL,
}


class Told(Protocol):
    """What DNS said to one question; `is_known` is false where it didn't answer or could not tell."""

    @property
    def is_known(self) -> bool: ...
    @property
    def values(self) -> tuple[str, ...]: ...
    @property
    def detail(self) -> str: ...


class Asks(Protocol):
    """Asks DNS for the records of a type at a name, whose backslashes are escaped as in a zone file."""

    def __call__(self, name: str, rdtype: str) -> Told: ...


@dataclass(frozen=True)
class Evaluation:
    """What SPF says of an envelope, and why."""

    result: Result
    reason: str  # one sentence
    domain: str  # whose record decided
    mechanism: str = ""  # the term that matched, as written
    record: str = ""
    explanation: str = ""  # what the domain has to say to whom it refuses (section 6.2)
    lookups: int = 0
    voids: int = 0
    questions: tuple[str, ...] = ()  # what was asked of DNS, in order, with its answer


class _Stop(Exception):
    """An error that ends the evaluation."""

    def __init__(self, result: Result, reason: str, domain: str, record: str = "") -> None:
        super().__init__(reason)
        self.result, self.reason, self.domain, self.record = result, reason, domain, record


@dataclass(frozen=True)
class _Outcome:
    result: Result
    reason: str
    domain: str
    record: Spf | None = None
    term: SpfTerm | None = None


def evaluate(envelope: Envelope, asks: Asks) -> Evaluation:
    """Check whether the client of `envelope` may send for its domain."""
    check = _Check(envelope, asks)
    explanation = ""
    try:
        outcome = check.check_host(envelope.domain)
        if outcome.result is Result.FAIL:
            explanation = check.explanation(outcome)
    except _Stop as stop:
        outcome = _Outcome(stop.result, stop.reason, stop.domain, parse_spf(stop.record))
    return Evaluation(
        result=outcome.result,
        reason=outcome.reason,
        domain=outcome.domain,
        mechanism=outcome.term.text if outcome.term else "",
        record=outcome.record.text if outcome.record else "",
        explanation=explanation,
        lookups=check.lookups,
        voids=check.voids,
        questions=tuple(check.questions),
    )


@dataclass
class _Check:
    """One evaluation and what it has cost so far."""

    envelope: Envelope
    asks: Asks
    lookups: int = 0
    voids: int = 0
    questions: list[str] = field(default_factory=list)
    is_explaining: bool = False  # the result stands: nothing counts any more (section 4.6.4)

    def check_host(self, domain: str) -> _Outcome:
        """Evaluate the record of `domain` (section 4)."""
        if "." not in domain.removesuffix(".") or not is_askable(domain) or domain.startswith("["):
            return _Outcome(Result.NONE, f"“{domain}” is not a domain name with a record.", domain)
        texts = self._known(_presented(domain), "TXT", domain).values
        records = [text for text in texts if is_spf(text)]
        if not records:
            return _Outcome(Result.NONE, f"{domain} publishes no SPF record.", domain)
        if len(records) > 1:
            raise _Stop(Result.PERMERROR, f"{domain} publishes {len(records)} SPF records.", domain)
        record = parse_spf(records[0])
        if record.problems:
            reason = f"The record of {domain} can't be read: {'; '.join(record.problems)}."
            raise _Stop(Result.PERMERROR, reason, domain, record.text)
        return self._evaluate(record, domain)

    def _evaluate(self, record: Spf, domain: str) -> _Outcome:
        for term in record.mechanisms:
            if self._matches(term, domain, record):
                reason = f"{self.envelope.client} matches “{term.text}” of {domain}."
                return _Outcome(_BY_QUALIFIER[term.qualifier], reason, domain, record, term)
        if record.redirect:
            return self._redirect(record.redirect, domain, record)
        reason = f"Nothing in the record of {domain} matches {self.envelope.client}."
        return _Outcome(Result.NEUTRAL, reason, domain, record)

    def _redirect(self, term: SpfTerm, domain: str, record: Spf) -> _Outcome:
        self._count(term.text, domain, record)
        outcome = self.check_host(self._target(term, domain))
        if outcome.result is Result.NONE:  # section 6.1
            reason = f"“{term.text}” of {domain} leads to no SPF record."
            raise _Stop(Result.PERMERROR, reason, domain, record.text)
        return outcome

    def _matches(self, term: SpfTerm, domain: str, record: Spf) -> bool:
        if term.network is not None:
            return self.envelope.client in term.network
        if term.name == "all":
            return True
        self._count(term.text, domain, record)
        target = self._target(term, domain)
        if term.name == "include":
            return self._includes(target, term, domain, record)
        if term.name == "ptr":
            return self._is_named_below(target)
        # a name that no server can have matches nothing (section 4.8)
        return is_askable(target) and self._is_found(_presented(target), term, domain, record)

    def _is_found(self, target: str, term: SpfTerm, domain: str, record: Spf) -> bool:
        if term.name == "exists":
            return bool(self._counted(target, "A", domain).values)
        if term.name == "mx":
            return self._is_exchange_of(target, term, domain, record)
        return self._is_address_of(target, term, domain)

    def _includes(self, target: str, term: SpfTerm, domain: str, record: Spf) -> bool:
        outcome = self.check_host(target)
        if outcome.result is Result.NONE:  # section 5.2
            reason = f"“{term.text}” of {domain} leads to no SPF record."
            raise _Stop(Result.PERMERROR, reason, domain, record.text)
        return outcome.result is Result.PASS

    def _is_address_of(self, host: str, term: SpfTerm, domain: str) -> bool:
        answer = self._counted(host, self._address_type, domain)
        return any(self._is_within(text, term.prefixes) for text in answer.values)

    def _is_exchange_of(self, target: str, term: SpfTerm, domain: str, record: Spf) -> bool:
        exchanges = [
            value.partition(" ")[2] for value in self._counted(target, "MX", domain).values
        ]
        if len(exchanges) > MAX_NAMES:  # section 4.6.4
            reason = f"{target} has {len(exchanges)} MX, more than {MAX_NAMES}."
            raise _Stop(Result.PERMERROR, reason, domain, record.text)
        hosts = [host for host in exchanges if host.rstrip(".")]
        return any(self._is_address_of(host, term, domain) for host in hosts)

    def _is_named_below(self, target: str) -> bool:
        if self._names.is_known and not self._names.values:
            self._count_void(self.envelope.client.reverse_pointer)
        return any(_is_below(name, target) for name in self._validated)

    @property
    def _address_type(self) -> str:
        return "A" if self.envelope.client.version == 4 else "AAAA"

    def _is_within(self, text: str, prefixes: tuple[int, int]) -> bool:
        prefix = prefixes[0] if self.envelope.client.version == 4 else prefixes[1]
        return self.envelope.client in ipaddress.ip_network(f"{text}/{prefix}", strict=False)

    # Names of the client (section 5.5)

    @cached_property
    def _names(self) -> Told:
        return self._ask(self.envelope.client.reverse_pointer, "PTR")

    @cached_property
    def _validated(self) -> tuple[str, ...]:
        """The names of the client that lead back to its address; DNS errors only leave names out."""
        names = [name.removesuffix(".") for name in self._names.values[:MAX_NAMES]]
        return tuple(name for name in names if self._leads_back(name))

    def _leads_back(self, name: str) -> bool:
        return any(
            ipaddress.ip_address(text) == self.envelope.client
            for text in self._ask(name, self._address_type).values
        )

    # Macros (section 7)

    def _target(self, term: SpfTerm, domain: str) -> str:
        return target_name(term.domain_spec, self._values(domain)) if term.domain_spec else domain

    def _values(self, domain: str) -> Values:
        return self.envelope.macro_values(domain, lambda: self._name_of_client(domain))

    def _name_of_client(self, domain: str) -> str:
        """Return the macro p: the domain itself where it is validated, else a name below it, else any (section 7.3)."""
        if not self.is_explaining and "_names" not in self.__dict__:
            self._count("%{p}", domain, None)
        names = self._validated
        own = [name for name in names if name.lower() == domain.lower()]
        below = [name for name in names if _is_below(name, domain)]
        return next(iter([*own, *below, *names]), "unknown")

    def explanation(self, outcome: _Outcome) -> str:
        """Return what the record that decided says to whom it refuses; nothing where that can't be had (section 6.2)."""
        term = outcome.record.explanation if outcome.record else None
        if term is None:
            return ""
        self.is_explaining = True
        target = self._target(term, outcome.domain)
        texts = self._ask(_presented(target), "TXT").values if is_askable(target) else ()
        if len(texts) != 1 or not is_explanation(texts[0]):
            return ""
        return expand(texts[0], self._values(outcome.domain))

    # Questions and their limits (section 4.6.4)

    def _count(self, what: str, domain: str, record: Spf | None) -> None:
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            reason = f"“{what}” of {domain} is lookup {self.lookups}; {MAX_LOOKUPS} are allowed."
            raise _Stop(Result.PERMERROR, reason, domain, record.text if record else "")

    def _count_void(self, name: str) -> None:
        self.voids += 1
        if self.voids > MAX_VOIDS:
            reason = f"{name} is void lookup {self.voids}; {MAX_VOIDS} are allowed."
            raise _Stop(Result.PERMERROR, reason, name)

    def _counted(self, name: str, rdtype: str, domain: str) -> Told:
        answer = self._known(name, rdtype, domain)
        if not answer.values:
            self._count_void(name)
        return answer

    def _known(self, name: str, rdtype: str, domain: str) -> Told:
        answer = self._ask(name, rdtype)
        if not answer.is_known:
            reason = f"DNS could not be asked for {rdtype} of {name}: {answer.detail}"
            raise _Stop(Result.TEMPERROR, reason, domain)
        return answer

    def _ask(self, name: str, rdtype: str) -> Told:
        answer = self.asks(name, rdtype)
        self.questions.append(f"{rdtype} {name}: {', '.join(answer.values) or answer.detail}")
        return answer


def _presented(name: str) -> str:
    """Return a name of our own making as zone files write it; those from DNS come so."""
    return name.replace("\\", "\\\\")


def _is_below(name: str, domain: str) -> bool:
    clean = domain.removesuffix(".").lower()
    return name.lower() == clean or name.lower().endswith(f".{clean}")
