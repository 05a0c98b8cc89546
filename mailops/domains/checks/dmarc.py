"""DMARC: the policy a receiver finds by the tree walk, and whose it is (RFC 9989)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from mailops.domains.checks.verdict import Problem, Seen, Verdict, several, unanswered, verdict_of
from mailops.domains.models import CheckStatus, DnsRecord
from mailops.lib.dns_answers import Answer, Asks, Status
from mailops.protocol.dns_records import DMARC_POLICIES, Dmarc, is_dmarc, parse_dmarc, tree_walk

RFC = "RFC 9989"
MOST_DESTINATIONS = 10  # hosts that a record has its reports sent to; the others are not looked at


@dataclass(frozen=True)
class Step:
    name: str
    answer: Answer

    @cached_property
    def records(self) -> tuple[str, ...]:
        return tuple(value for value in self.answer.values if is_dmarc(value))

    @cached_property
    def record(self) -> Dmarc | None:
        """The record in force here; several count as none (RFC 9989 section 4.10)."""
        return parse_dmarc(self.records[0]) if len(self.records) == 1 else None


@dataclass(frozen=True)
class TreeWalk:
    """Every name asked for one domain, from itself upwards."""

    domain: str
    steps: tuple[Step, ...]
    is_there: bool = True  # False: the domain itself is NXDOMAIN, so that np counts

    @property
    def failure(self) -> Step | None:
        """The first question that wasn't answered; not that of a top-level domain, once a record is found below."""
        is_found = any(step.record for step in self.steps)
        silent = (step for step in self.steps if not step.answer.is_known)
        return next((step for step in silent if "." in step.name or not is_found), None)

    @property
    def organizational_domain(self) -> str:
        """The domain that alignment compares (RFC 9989 section 4.10.2)."""
        found = [(step.name, step.record) for step in self.steps if step.record]
        for name, record in found:
            if record.psd == "n":
                return name
            if record.psd == "y" and name != self.domain:
                depth = name.count(".") + 2
                return ".".join(self.domain.split(".")[-depth:])
        return found[-1][0] if found else self.domain

    @property
    def policy_step(self) -> Step | None:
        """Where the policy is found: at the domain itself, else at its organizational domain or above (section 4.10.1)."""
        if self.steps[0].record:
            return self.steps[0]
        wanted = self.organizational_domain
        return next(
            (step for step in self.steps if step.record and step.name == wanted),
            next((step for step in self.steps if step.record and step.record.psd == "y"), None),
        )

    @property
    def effective_policy(self) -> str:
        """The policy that is published for the domain; empty without one."""
        step = self.policy_step
        if step is None or step.record is None or not step.record.is_in_force:
            return ""
        if step.name == self.domain:
            return step.record.policy
        return step.record.subdomain_policy if self.is_there else step.record.nonexistent_policy

    @property
    def applied_policy(self) -> str:
        """What receivers act by: in a test (t=y) one level less (section 4.7)."""
        policy, step = self.effective_policy, self.policy_step
        if not policy or policy == "none" or not (step and step.record and step.record.is_testing):
            return policy
        return DMARC_POLICIES[DMARC_POLICIES.index(policy) - 1]


def walk_tree(domain: str, asks: Asks) -> TreeWalk:
    """Ask for the DMARC records of `domain` and of its parents, until one says where the organization ends."""
    steps: list[Step] = []
    for name in tree_walk(domain):
        step = Step(name, asks(f"_dmarc.{name}", "TXT"))
        steps.append(step)
        if step.record and step.record.psd in {"y", "n"}:
            break
    walk = TreeWalk(domain, tuple(steps))
    found = walk.policy_step
    if found and found.record and found.name != domain and "np" in found.record.tags:
        is_there = asks(domain, "MX").status is not Status.NXDOMAIN
        return TreeWalk(domain, tuple(steps), is_there=is_there)
    return walk


def check_dmarc(
    walk: TreeWalk, asks: Asks, *, least: str = "none", needed_by: str = ""
) -> tuple[Verdict, Seen]:
    """Check the policy that is in force for the domain of `walk`; `least` is what somebody of ours needs."""
    own = walk.steps[0]
    step = walk.policy_step
    is_inherited = step is not None and step.name != walk.domain
    seen = Seen(
        purpose=DnsRecord.Purpose.DMARC,
        host=f"_dmarc.{(step or own).name}",
        rtype="TXT",
        answer=(step or own).answer,
        values=(step or own).records,
        to_publish=_to_publish(walk, least),
        needed_by="inherited from the parent domain" if is_inherited else needed_by,
    )
    if walk.failure and (step is None or walk.steps.index(walk.failure) < walk.steps.index(step)):
        name = f"_dmarc.{walk.failure.name}"
        return unanswered("dmarc", name, walk.failure.answer, rfc=RFC), seen
    problems = [*_problems(walk, least), *_report_problems(walk, asks)]
    origin = (
        f"inherited from {step.name}" if step and is_inherited else "published by the domain itself"
    )
    well = f"The policy is {walk.effective_policy}, {origin}."
    return verdict_of("dmarc", problems, well=well, rfc=RFC, evidence=_evidence(walk)), seen


def _evidence(walk: TreeWalk) -> list[str]:
    lines = [f"_dmarc.{step.name}: {_shown(step)}" for step in walk.steps]
    lines.append(f"Organizational domain: {walk.organizational_domain}")
    if record := walk.policy_step.record if walk.policy_step else None:
        modes = ("relaxed", "strict")
        lines.append(
            f"Policy: {record.policy}; for subdomains {record.subdomain_policy}; "
            f"for names that aren't there {record.nonexistent_policy}"
        )
        lines.append(f"In force for {walk.domain}: {walk.effective_policy or 'nothing'}")
        lines.append(
            f"Alignment: SPF {modes[record.is_spf_strict]}, DKIM {modes[record.is_dkim_strict]}"
        )
    return lines


def _shown(step: Step) -> str:
    if not step.answer.is_known:
        return step.answer.detail
    return " | ".join(step.records) or "no record"


def _to_publish(walk: TreeWalk, least: str) -> str:
    """Return the record that stands when it will do, else one to begin with."""
    step = walk.policy_step
    if (
        step
        and step.record
        and not step.record.problems
        and _is_enough(walk.effective_policy, least)
    ):
        return step.record.without_obsolete_tags
    policy = max("none", least, key=DMARC_POLICIES.index)
    return f"v=DMARC1; p={policy}; rua=mailto:postmaster@{walk.domain}"


def _is_enough(policy: str, least: str) -> bool:
    return DMARC_POLICIES.index(policy or "none") >= DMARC_POLICIES.index(least)


def _problems(walk: TreeWalk, least: str) -> Iterator[Problem]:
    yield from _misread(walk)
    step = walk.policy_step
    if step is None or step.record is None:
        yield Problem(
            CheckStatus.ERROR,
            f"No DMARC policy is found for {walk.domain}: Gmail, Yahoo and Microsoft turn bulk mail away.",
            f"Publish “{_to_publish(walk, least)}” as TXT at _dmarc.{walk.domain}.",
        )
        return
    record = step.record
    if not record.is_in_force:
        yield Problem(
            CheckStatus.ERROR,
            f"{'; '.join(record.problems)}, and no address for reports is given: receivers ignore the whole record.",
            "Correct the record.",
        )
        return
    yield from _of_record(record)
    if not _is_enough(walk.effective_policy, least):
        yield Problem(
            CheckStatus.ERROR,
            f"The policy is {walk.effective_policy}, and at least {least} is needed.",
            f"Set p={least}.",
        )
    elif walk.effective_policy == "none":
        yield Problem(
            CheckStatus.WARNING,
            "The policy is none: forged mail in this domain's name is delivered as before.",
            "Read the reports for a few weeks, then set p=quarantine and later p=reject.",
        )
    if record.is_testing:
        yield Problem(
            CheckStatus.WARNING,
            f"t=y says that the policy is being tested: receivers act as if it were {walk.applied_policy}.",
            "Remove t=y when your own mail passes.",
        )


def _misread(walk: TreeWalk) -> Iterator[Problem]:
    """Yield the records that don't count: several at a name, and what only looks like one."""
    for step in walk.steps:
        if len(step.records) > 1:
            is_own = step is walk.steps[0] or walk.policy_step is None
            status = CheckStatus.ERROR if is_own else CheckStatus.WARNING
            host = f"_dmarc.{step.name}"
            yield several(host, step.records, what="DMARC", who="receivers", status=status)
    own = walk.steps[0]
    for value in own.answer.values:
        if not is_dmarc(value) and value.lstrip(' "').lower().startswith("v=dmarc"):
            yield Problem(
                CheckStatus.ERROR if not own.records else CheckStatus.WARNING,
                f"“{value[:60]}” at _dmarc.{own.name} is not read as a DMARC record.",
                "Begin it with “v=DMARC1;”, in capitals and with the semicolon.",
            )


def _of_record(record: Dmarc) -> Iterator[Problem]:
    for problem in record.problems:
        yield Problem(
            CheckStatus.WARNING,
            f"{problem[0].upper()}{problem[1:]}; receivers ignore that.",
            "Correct the record.",
        )
    if not record.has_sound_policies:
        yield Problem(
            CheckStatus.WARNING,
            "With one bad policy, receivers take all of p, sp and np for none.",
            "Write each as none, quarantine or reject.",
        )
    if "p" not in record.tags:
        yield Problem(
            CheckStatus.WARNING,
            "The record has no p tag, which counts as p=none.",
            "Add p=none, p=quarantine or p=reject behind v=DMARC1.",
        )
    if record.obsolete:
        tags = ", ".join(record.obsolete)
        yield Problem(
            CheckStatus.WARNING,
            f"Tags that RFC 9989 removed are still there and are ignored: {tags}.",
            "Remove them; for a test phase use t=y instead of pct.",
        )
    if record.has_sizes:
        yield Problem(
            CheckStatus.WARNING,
            "A size behind a report address (“!10m”) was removed by RFC 9989 and is ignored.",
            "Remove the exclamation mark and what follows it.",
        )


def _report_problems(walk: TreeWalk, asks: Asks) -> Iterator[Problem]:
    """Yield what is wrong with where reports go (RFC 9990 section 4: another organization must agree to receive them)."""
    step = walk.policy_step
    if step is None or step.record is None or not step.record.is_in_force:
        return
    if not step.record.report_addresses:
        yield Problem(
            CheckStatus.WARNING,
            "No address for aggregate reports is given (rua), so nobody would notice forged or failing mail.",
            f"Add rua=mailto:postmaster@{walk.domain}.",
        )
    addresses = (*step.record.report_addresses, *step.record.failure_addresses)
    hosts = dict.fromkeys(address.rpartition("@")[2].lower() for address in addresses)
    for host in islice(hosts, MOST_DESTINATIONS):
        yield from _destination(step.name, host, walk, asks)


def _destination(policy_domain: str, host: str, walk: TreeWalk, asks: Asks) -> Iterator[Problem]:
    if "0 ." in asks(host, "MX").values:
        yield Problem(
            CheckStatus.WARNING,
            f"{host} takes no mail (null MX), so reports that go there are lost.",
            "Use an address that receives mail.",
        )
        return
    if host == policy_domain or _organization(host, asks) == walk.organizational_domain:
        return
    answer = asks(f"{policy_domain}._report._dmarc.{host}", "TXT")
    if answer.is_known and not any(is_dmarc(value) for value in answer.values):
        yield Problem(
            CheckStatus.WARNING,
            f"{host} does not say that it takes reports about {policy_domain}, so none are sent there.",
            f"Publish “v=DMARC1” as TXT at {policy_domain}._report._dmarc.{host}, or use an address of your own.",
        )


def _organization(host: str, asks: Asks) -> str:
    return walk_tree(host, asks).organizational_domain
