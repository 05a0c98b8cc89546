"""Where mail to the domain goes: its own MX, and the MX of the return path that bounces come back to (RFC 5321)."""

from collections.abc import Iterator

from mailops.domains.checks.verdict import Problem, Seen, Verdict, unanswered, verdict_of
from mailops.domains.models import CheckStatus, DnsRecord
from mailops.lib.dns_answers import Answer, Asks

RFC = "RFC 5321 section 5.1"
NULL_MX = "0 ."  # RFC 7505


def _exchanges(answer: Answer) -> list[str]:
    return [value.partition(" ")[2].rstrip(".").lower() for value in answer.values]


def is_unset(host: str) -> bool:
    """Tell whether `host` is only what stands in for a return path: nobody can publish .localhost (RFC 6761)."""
    return host == "localhost" or host.endswith(".localhost")


def no_return_path() -> Verdict:
    problem = Problem(
        CheckStatus.ERROR,
        "This installation has no return path yet, so bounces of mail find no way back.",
        "Set MAILOPS_RETURN_PATH_HOST to a host of yours, such as bounces.example.com, and start mailops again;"
        " then mailops says which MX it needs.",
    )
    return verdict_of("return_path", [problem], well="", rfc=RFC)


def _own_address(host: str, asks: Asks) -> Answer:
    """Return what DNS tells of the address of a `host` without MX: mail to it goes there."""
    answers = [asks(host, rdtype) for rdtype in ("A", "AAAA")]
    return max(answers, key=lambda answer: (answer.is_found, not answer.is_known))


def check_return_path(
    host: str, wanted: str, asks: Asks, *, needed_by: str = ""
) -> tuple[Verdict, Seen]:
    """Check that bounces sent to the return-path `host` arrive: it must have the MX `wanted`, or any if that is empty."""
    check = f"return_path:{host}"
    answer = asks(host, "MX")
    ours = (value for value in answer.values if value.lower().endswith(f" {wanted.lower()}"))
    present = next(ours, "")
    seen = Seen(
        purpose=DnsRecord.Purpose.RETURN_PATH,
        host=host,
        rtype="MX",
        answer=answer,
        values=answer.values,
        to_publish=(present or f"10 {wanted}") if wanted else "",
        needed_by=needed_by,
    )
    if not answer.is_known:
        return unanswered(check, f"the MX of {host}", answer, rfc=RFC), seen
    own = None if answer.values or wanted else _own_address(host, asks)
    if own and not own.is_known:
        return unanswered(check, f"the address of {host}", own, rfc=RFC), seen
    problems = list(_problems_of_return_path(host, wanted, answer, own))
    well = f"Bounces to {host} go to {', '.join(_exchanges(answer))}."
    return verdict_of(check, problems, well=well, rfc=RFC, evidence=answer.values), seen


def _problems_of_return_path(
    host: str, wanted: str, answer: Answer, own: Answer | None
) -> Iterator[Problem]:
    """Yield what keeps bounces from the MX `wanted`; `own` is the address of a host without any."""
    of_their_choice = (
        f"Publish an MX at {host} that points to the host where mailops listens for bounces."
    )
    if own and own.is_found:
        yield Problem(
            CheckStatus.WARNING,
            f"{host} has no MX; bounces are tried at its own address, {', '.join(own.values)}.",
            of_their_choice,
        )
    elif not answer.values or NULL_MX in answer.values:
        yield Problem(
            CheckStatus.ERROR,
            f"{host} has no MX, so bounces of mail sent with this return path are lost.",
            f"Publish the MX “10 {wanted}” at {host}." if wanted else of_their_choice,
        )
    elif wanted and wanted.lower() not in _exchanges(answer):
        yield Problem(
            CheckStatus.ERROR,
            f"The MX of {host} is {', '.join(_exchanges(answer))} and not {wanted}: bounces go elsewhere.",
            f"Replace the MX of {host} by “10 {wanted}”.",
        )


def check_mx(domain: str, asks: Asks) -> tuple[Verdict, Seen]:
    """Check that people can answer: a domain that sends should receive."""
    answer = asks(domain, "MX")
    seen = Seen(
        purpose=DnsRecord.Purpose.MX,
        host=domain,
        rtype="MX",
        answer=answer,
        values=answer.values,
        to_publish="",
        needed_by="replies, and reports to postmaster",
    )
    if not answer.is_known:
        return unanswered("mx", f"the MX of {domain}", answer, rfc=RFC), seen
    own = None if answer.values else _own_address(domain, asks)
    if own and not own.is_known:
        return unanswered("mx", f"the address of {domain}", own, rfc=RFC), seen
    problems = list(_problems_of_mx(domain, answer, own))
    well = f"Replies go to {', '.join(_exchanges(answer))}."
    return verdict_of("mx", problems, well=well, rfc=RFC, evidence=answer.values), seen


def _problems_of_mx(domain: str, answer: Answer, own: Answer | None) -> Iterator[Problem]:
    """Yield what keeps people from answering; `own` is the address of a domain without MX."""
    if NULL_MX in answer.values:
        yield Problem(
            CheckStatus.WARNING,
            f"{domain} says that it receives no mail (null MX): replies bounce, and some receivers refuse mail from it.",
            "Publish an MX, or send from a domain that has one.",
        )
    elif own and not own.is_found:
        yield Problem(
            CheckStatus.WARNING,
            f"{domain} has neither an MX nor an address: replies bounce, and some receivers refuse mail from it.",
            "Publish an MX for the servers that take your mail.",
        )
    elif own:
        yield Problem(
            CheckStatus.WARNING,
            f"{domain} has no MX; replies are tried at its own address.",
            "Publish an MX for the servers that take your mail.",
        )
