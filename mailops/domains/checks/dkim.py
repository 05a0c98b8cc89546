"""DKIM: at each selector a key that parses, is long enough and is the one we sign with (RFC 6376, RFC 8301)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from mailops.domains.checks.verdict import Problem, Seen, Verdict, unanswered, verdict_of
from mailops.domains.models import CheckStatus, DnsRecord
from mailops.lib.dns_answers import Answer, Asks, Status
from mailops.protocol.dns_records import READ_BITS, DkimKey, parse_dkim

REFUSED_BITS = 1024  # RFC 8301 section 3.2: verifiers must not accept less
WANTED_BITS = 2048
RFC = "RFC 6376, RFC 8301"
ASKERS = 16
# what providers and manuals propose
USUAL_SELECTORS = (
    *("default", "dkim", "mail", "email", "smtp", "mx", "key", "selector", "sel", "test", "google"),
    *(f"{stem}{n}" for stem in ("s", "sel", "selector", "k", "key", "dkim") for n in (1, 2, 3)),
    *("fm1", "fm2", "fm3", "mandrill", "pm", "resend", "krs", "mailo", "zoho", "zmail", "sig1"),
    *("protonmail", "protonmail2", "protonmail3", "turbo-smtp", "mg", "pic", "smtpapi", "brevo1"),
    *("cm", "hs1", "hs2", "dk", "rsa", "rsa1", "ed25519", "ed1"),
)


def check_dkim(
    domain: str, selector: str, wanted: str, asks: Asks, *, needed_by: str = ""
) -> tuple[Verdict, Seen]:
    """Check the key at `selector` of `domain`; `wanted` is the record it must be, empty if any will do."""
    host = f"{selector}._domainkey.{domain}"
    check = f"dkim:{selector}"
    answer = asks(host, "TXT")
    seen = Seen(
        purpose=DnsRecord.Purpose.DKIM,
        host=host,
        rtype="TXT",
        answer=answer,
        values=answer.values,
        to_publish=_to_publish(wanted, answer.values),
        needed_by=needed_by,
    )
    if not answer.is_known:
        return unanswered(check, f"the DKIM key {host}", answer, rfc=RFC), seen
    if not answer.values:
        problem = Problem(
            CheckStatus.ERROR,
            f"There is no DKIM key at {host}, so no signature of this selector can be verified.",
            f"Publish “{wanted}” as TXT at {host}."
            if wanted
            else "Publish the key that your provider shows for this selector.",
        )
        return verdict_of(check, [problem], well="", rfc=RFC, evidence=[answer.detail]), seen
    key = parse_dkim(answer.values[0])
    problems = list(_problems(host, answer.values, key, parse_dkim(wanted) if wanted else None))
    well = f"The {key.kind.upper() if key.kind == 'rsa' else 'Ed25519'} key at {host} has {key.bits} bits and is valid."
    return verdict_of(check, problems, well=well, rfc=RFC, evidence=_evidence(answer)), seen


def _evidence(answer: Answer) -> list[str]:
    """Return the records, and of how many strings they are made: receivers join those without a space."""
    strings = [f"{n} strings, joined by receivers" for n in answer.pieces if n > 1]
    return [*answer.values, *strings]


def find_selectors(domain: str, asks: Asks) -> list[str]:
    """Return those of the usual selectors at which `domain` publishes a key, for a domain of which nothing is known."""
    below = asks(f"_domainkey.{domain}", "TXT")
    if below.status is Status.NXDOMAIN:
        return []  # nothing stands below (RFC 8020)
    if not below.is_known:
        return [USUAL_SELECTORS[0]]  # so that what isn't known is not told as missing
    hosts = {selector: f"{selector}._domainkey.{domain}" for selector in USUAL_SELECTORS}
    with ThreadPoolExecutor(ASKERS) as pool:
        answers = list(pool.map(lambda host: asks(host, "TXT"), hosts.values()))
    found = dict(zip(hosts, answers, strict=True))
    keys = [name for name, told in found.items() if any("p=" in value for value in told.values)]
    return keys or [name for name, told in found.items() if not told.is_known][:1]


def _to_publish(wanted: str, values: tuple[str, ...]) -> str:
    """Return the wanted record, as it is spelled in DNS where that is the same key."""
    same = [value for value in values if wanted and parse_dkim(value).key == parse_dkim(wanted).key]
    return same[0] if same else wanted


def _problems(
    host: str, values: tuple[str, ...], key: DkimKey, wanted: DkimKey | None
) -> Iterator[Problem]:
    if len(values) > 1 and any("=" not in value.rstrip("= ") for value in values):
        yield Problem(
            CheckStatus.ERROR,
            f"The key at {host} was cut into {len(values)} records: none of them is a key.",
            "Publish one record; a long one is made of several strings inside it.",
        )
        return
    if len(values) > 1:
        yield Problem(
            CheckStatus.ERROR,
            f"{host} has {len(values)} records; which of them a receiver takes is chance.",
            "Delete all but the one shown under “Records to publish”.",
        )
    yield from faults(key)
    if wanted and key.key and key.key != wanted.key:
        yield Problem(
            CheckStatus.ERROR,
            "The key in DNS is not the one we sign with: every signature fails.",
            "Replace the record by the one shown under “Records to publish”.",
        )


def faults(key: DkimKey) -> Iterator[Problem]:
    """Yield what is wrong with a key by itself, whoever signs with it."""
    if key.is_revoked:
        yield Problem(
            CheckStatus.ERROR,
            "The key is revoked (its p tag is empty): every signature of this selector fails.",
            "Publish the key again, or sign with another selector.",
        )
    for problem in key.problems:
        yield Problem(
            CheckStatus.ERROR,
            f"The record can't be used: {problem}.",
            "Paste the whole record again.",
        )
    if not key.signs_mail:
        yield Problem(
            CheckStatus.ERROR,
            "The key isn't meant for mail (s tag).",
            "Remove the s tag or set s=email.",
        )
    if key.hashes and "sha256" not in key.hashes:
        yield Problem(
            CheckStatus.ERROR,
            "The key allows only SHA-1, which receivers refuse.",
            "Remove the h tag or set h=sha256.",
        )
    yield from _length(key)
    if key.is_testing:
        yield Problem(
            CheckStatus.WARNING,
            "The key says it is only being tested (t=y).",
            "Remove t=y once mail is signed.",
        )


def _length(key: DkimKey) -> Iterator[Problem]:
    if key.kind != "rsa" or not key.bits:
        return
    if key.bits < REFUSED_BITS:
        yield Problem(
            CheckStatus.ERROR,
            f"The key has {key.bits} bits; receivers refuse less than {REFUSED_BITS}.",
            f"Make a new key of {WANTED_BITS} bits.",
        )
    elif key.bits < WANTED_BITS:
        yield Problem(
            CheckStatus.WARNING,
            f"The key has {key.bits} bits; {WANTED_BITS} are recommended.",
            f"Make a new key of {WANTED_BITS} bits at another selector, and switch.",
        )
    elif key.bits > READ_BITS:
        yield Problem(
            CheckStatus.WARNING,
            f"The key has {key.bits} bits; receivers need not read more than {READ_BITS}, and then the signature is none.",
            f"Make a new key of {WANTED_BITS} bits at another selector, and switch.",
        )
