"""What the domain asks of those who write to it: MTA-STS (RFC 8461) and TLS-RPT (RFC 8460); both are optional."""

from collections.abc import Callable, Iterator

from mailops.domains.checks.verdict import (
    Problem,
    Seen,
    Verdict,
    seen_if_any,
    several,
    unanswered,
    verdict_of,
)
from mailops.domains.models import CheckStatus, DnsRecord
from mailops.lib.dns_answers import Answer, Asks
from mailops.lib.egress import EgressFault
from mailops.lib.fetching import Fetched, fetch
from mailops.lib.storable import storable
from mailops.protocol.dns_records import read_tags
from mailops.protocol.mta_sts import StsPolicy, is_sts, parse_policy, sts_id

STS_RFC, TLS_RPT_RFC = "RFC 8461", "RFC 8460"
POLICY_OCTETS = 64 * 1024  # section 3.3
POLICY_SECONDS = 5.0
# what keeps us from the policy and says nothing of what others get
NOT_OURS_TO_JUDGE = {"timeout", "unreachable", "dns_silent", "refused"}

Fetches = Callable[[str, Asks], Fetched]


def fetch_policy(url: str, asks: Asks) -> Fetched:
    """Return what is at `url`, whose host is where `asks` says; raise EgressFault."""
    return fetch(url, seconds=POLICY_SECONDS, max_octets=POLICY_OCTETS, asks=asks)


def check_mta_sts(domain: str, asks: Asks, fetches: Fetches = fetch_policy) -> tuple[Verdict, Seen]:
    """Check that the policy, where one is announced, can be fetched, is valid and lets in every MX."""
    host = f"_mta-sts.{domain}"
    answer = asks(host, "TXT")
    records = [value for value in answer.values if is_sts(value)]
    seen = seen_if_any(DnsRecord.Purpose.MTA_STS, host, answer, records)
    if not answer.is_known:
        return unanswered("mta_sts", host, answer, rfc=STS_RFC), seen
    if not records:
        well = f"{domain} announces no MTA-STS policy, which is optional."
        return verdict_of("mta_sts", [], well=well, rfc=STS_RFC), seen
    problems = list(_record_problems(host, records))
    if problems:
        return verdict_of("mta_sts", problems, well="", rfc=STS_RFC, evidence=records), seen
    return _check_policy(domain, records[0], asks, fetches), seen


def _record_problems(host: str, records: list[str]) -> Iterator[Problem]:
    if len(records) > 1:
        yield several(host, records, what="MTA-STS", who="senders", status=CheckStatus.WARNING)
    elif not sts_id(records[0]):
        yield Problem(
            CheckStatus.WARNING,
            f"The record at {host} has no valid id, so senders ignore it.",
            "Give it an id of 1 to 32 letters and digits, such as the date, and change that with each change of the policy.",
        )


def _check_policy(domain: str, record: str, asks: Asks, fetches: Fetches) -> Verdict:
    host = f"mta-sts.{domain}"
    url = f"https://{host}/.well-known/mta-sts.txt"
    if not any(asks(host, rdtype).is_found for rdtype in ("A", "AAAA")):
        answers = [asks(host, rdtype) for rdtype in ("A", "AAAA")]
        if silent := next((answer for answer in answers if not answer.is_known), None):
            return unanswered("mta_sts", host, silent, rfc=STS_RFC)
        return _broken(record, f"{host} has no address, so nobody can fetch the policy.", url)
    try:
        fetched = fetches(url, asks)
    except EgressFault as fault:
        if fault.cause in NOT_OURS_TO_JUDGE:
            return Verdict(
                check="mta_sts",
                status=CheckStatus.UNKNOWN,
                sentence=f"The policy could not be fetched from here: {fault.detail}.",
                fix=f"Open {url} from elsewhere, and look at what this machine may reach.",
                rfc=STS_RFC,
                evidence=(record,),
            )
        return _broken(record, f"The policy can't be fetched: {fault.detail}.", url)
    if fetched.status != 200:
        what = (
            "a redirect, which senders don't follow" if fetched.status // 100 == 3 else "no policy"
        )
        return _broken(record, f"{url} answers {fetched.status}: {what}.", url)
    return _judge(domain, record, url, fetched, asks(domain, "MX"))


def _judge(domain: str, record: str, url: str, fetched: Fetched, exchanges: Answer) -> Verdict:
    """Hold a policy that was fetched against what it must be, and against the MX of its domain."""
    text = storable(fetched.body.decode("utf-8", "replace"))
    policy = parse_policy(text)
    problems = list(_policy_problems(domain, policy, fetched, exchanges))
    if not problems and not exchanges.is_known:
        return unanswered("mta_sts", f"the MX of {domain}", exchanges, rfc=STS_RFC)
    evidence = [record, url, *text.splitlines()[:40]]
    well = f"The policy is {policy.mode} and names every MX of {domain}."
    return verdict_of("mta_sts", problems, well=well, rfc=STS_RFC, evidence=evidence)


def _broken(record: str, sentence: str, url: str) -> Verdict:
    problem = Problem(
        CheckStatus.WARNING,
        sentence,
        f"Serve the policy as text/plain at {url} with a valid certificate, or remove the record.",
    )
    return verdict_of("mta_sts", [problem], well="", rfc=STS_RFC, evidence=[record, url])


def _policy_problems(
    domain: str, policy: StsPolicy, fetched: Fetched, exchanges: Answer
) -> Iterator[Problem]:
    for problem in policy.problems:
        yield Problem(
            CheckStatus.WARNING, f"The policy is invalid: {problem}.", "Correct the policy."
        )
    kind = storable(fetched.headers.get("content-type", "").partition(";")[0].strip().lower())
    if kind != "text/plain":
        yield Problem(
            CheckStatus.WARNING,
            f"The policy is served as “{kind}”, and senders may ignore what isn't text/plain.",
            "Serve it as text/plain.",
        )
    if policy.problems or policy.mode == "none" or not exchanges.is_known:
        return
    names = [value.partition(" ")[2].rstrip(".") for value in exchanges.values]
    for name in names or [domain]:  # without any MX it is the domain itself (RFC 5321 section 5.1)
        if name and not policy.lets_in(name):
            what = "an MX of" if names else "which takes the mail to"
            yield Problem(
                CheckStatus.WARNING,
                f"The policy does not name {name}, {what} {domain}"
                + (": mail to it is refused." if policy.mode == "enforce" else "."),
                f"Add “mx: {name}” to the policy, and change the record's id.",
            )


def check_tls_rpt(domain: str, asks: Asks) -> tuple[Verdict, Seen]:
    """Check that the record that asks for reports on TLS, where there is one, can be used."""
    host = f"_smtp._tls.{domain}"
    answer = asks(host, "TXT")
    records = [value for value in answer.values if value.lower().startswith("v=tlsrptv1")]
    seen = _seen_tls_rpt(domain, answer, records)
    if not answer.is_known:
        return unanswered("tls_rpt", host, answer, rfc=TLS_RPT_RFC), seen
    if not records:
        well = f"{domain} asks for no reports on TLS, which are optional."
        return verdict_of("tls_rpt", [], well=well, rfc=TLS_RPT_RFC), seen
    problems = list(_tls_rpt_problems(host, records))
    well = "Reports on TLS go where the record says."
    return verdict_of("tls_rpt", problems, well=well, rfc=TLS_RPT_RFC, evidence=records), seen


def _seen_tls_rpt(domain: str, answer: Answer, records: list[str]) -> Seen:
    """Return what DNS shows of the record that asks for reports on TLS, and one to begin with."""
    host = f"_smtp._tls.{domain}"
    usable = len(records) == 1 and not list(_tls_rpt_problems(host, records))
    return Seen(
        purpose=DnsRecord.Purpose.TLS_RPT,
        host=host,
        rtype="TXT",
        answer=answer,
        values=tuple(records),
        to_publish=records[0] if usable else f"v=TLSRPTv1; rua=mailto:postmaster@{domain}",
        needed_by="reports of those who could not send to it by TLS",
    )


def _tls_rpt_problems(host: str, records: list[str]) -> Iterator[Problem]:
    if len(records) > 1:
        yield several(host, records, what="TLS-RPT", who="senders", status=CheckStatus.WARNING)
        return
    pairs, problems = read_tags(records[0])
    tags = dict(pairs)
    if pairs[:1] != [("v", "TLSRPTv1")]:
        problems.append("it does not begin with “v=TLSRPTv1;”")
    uris = [uri.strip() for uri in tags.get("rua", "").split(",") if uri.strip()]
    if not uris:
        problems.append("it names no address for reports (rua)")
    problems += [
        f"“{uri[:60]}” is neither a mailto: nor an https: address"
        for uri in uris
        if not (uri.lower().startswith("mailto:") and "@" in uri)
        and not uri.lower().startswith("https://")
    ]
    for problem in problems:
        yield Problem(
            CheckStatus.WARNING,
            f"The record at {host} can't be used: {problem}.",
            f"Publish “v=TLSRPTv1; rua=mailto:…” at {host}.",
        )
