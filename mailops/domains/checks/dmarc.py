"""DMARC: the policy a receiver finds by the tree walk, and whose it is (RFC 9989)."""

from collections.abc import Iterator
from dataclasses import dataclass

from mailops.domains.checks.verdict import Problem, Seen, Verdict, unanswered, verdict_of
from mailops.domains.models import CheckStatus, DnsRecord
from mailops.lib.dns_answers import Answer, Asks
from mailops.protocol.dns_records import DMARC_POLICIES, Dmarc, is_dmarc, parse_dmarc, tree_walk

RFC = "RFC 9989"


@dataclass(frozen=True)
class Step:
    name: str
    answer: Answer

    @property
    def records(self) -> tuple[str, ...]:
        return tuple(value for value in self.answer.values if is_dmarc(value))

    @property
    def record(self) -> Dmarc | None:
        """The record in force here; several count as none (RFC 9989 section 4.10)."""
        return parse_dmarc(self.records[0]) if len(self.records) == 1 else None


@dataclass(frozen=True)
class TreeWalk:
    """Every name asked for one domain, from itself upwards."""

    domain: str
    steps: tuple[Step, ...]

    @property
    def failure(self) -> Step | None:
        return next((step for step in self.steps if not step.answer.is_known), None)

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
            next((step for step in self.steps if step.record), None),
        )

    @property
    def effective_policy(self) -> str:
        step = self.policy_step
        if step is None or step.record is None:
            return ""
        return step.record.policy if step.name == self.domain else step.record.subdomain_policy


def walk_tree(domain: str, asks: Asks) -> TreeWalk:
    """Ask for the DMARC records of `domain` and of its parents, until one says where the organization ends."""
    steps: list[Step] = []
    for name in tree_walk(domain):
        step = Step(name, asks(f"_dmarc.{name}", "TXT"))
        steps.append(step)
        if step.record and step.record.psd in {"y", "n"}:
            break
    return TreeWalk(domain, tuple(steps))


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
    record = step.record if step else None
    well = (
        f"The policy is {walk.effective_policy}, "
        f"{f'inherited from {step.name}' if step and is_inherited else 'published by the domain itself'}."
    )
    evidence = [
        *(f"_dmarc.{step.name}: {value}" for step in walk.steps for value in step.records),
        f"Organizational domain: {walk.organizational_domain}",
    ]
    if record:
        modes = ("relaxed", "strict")
        evidence.append(
            f"Alignment: SPF {modes[record.is_spf_strict]}, DKIM {modes[record.is_dkim_strict]}"
        )
    return verdict_of("dmarc", problems, well=well, rfc=RFC, evidence=evidence), seen


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
    if len(walk.steps[0].records) > 1:
        yield Problem(
            CheckStatus.ERROR,
            f"_dmarc.{walk.domain} has {len(walk.steps[0].records)} DMARC records; receivers then use none of them.",
            "Delete all but one.",
        )
    record = walk.policy_step.record if walk.policy_step else None
    if record is None:
        yield Problem(
            CheckStatus.ERROR,
            f"No DMARC policy is found for {walk.domain}: Gmail, Yahoo and Microsoft turn bulk mail away.",
            "Publish the record shown under “Records to publish”.",
        )
        return
    for problem in record.problems:
        yield Problem(
            CheckStatus.WARNING,
            f"{problem[0].upper()}{problem[1:]}; receivers ignore that.",
            "Correct the record.",
        )
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
            "t=y asks receivers not to act on the policy yet.",
            "Remove t=y when your own mail passes.",
        )
    if record.obsolete:
        tags = ", ".join(record.obsolete)
        yield Problem(
            CheckStatus.WARNING,
            f"Tags that RFC 9989 removed are still there and are ignored: {tags}.",
            "Remove them; for a test phase use t=y instead of pct.",
        )


def _report_problems(walk: TreeWalk, asks: Asks) -> Iterator[Problem]:
    """Yield what is wrong with where reports go (RFC 9990 section 4: another domain must agree to receive them)."""
    step = walk.policy_step
    if step is None or step.record is None:
        return
    if not step.record.report_addresses:
        yield Problem(
            CheckStatus.WARNING,
            "No address for aggregate reports is given (rua), so nobody would notice forged or failing mail.",
            f"Add rua=mailto:postmaster@{walk.domain}.",
        )
    for address in step.record.report_addresses:
        host = address.rpartition("@")[2].lower()
        if (
            host == step.name
            or host.endswith("." + walk.organizational_domain)
            or host == walk.organizational_domain
        ):
            continue
        answer = asks(f"{step.name}._report._dmarc.{host}", "TXT")
        if answer.is_known and not any(is_dmarc(value) for value in answer.values):
            yield Problem(
                CheckStatus.WARNING,
                f"{host} does not say that it takes reports about {step.name}, so none are sent there.",
                f"Publish “v=DMARC1” as TXT at {step.name}._report._dmarc.{host}, or use an address of your own.",
            )
