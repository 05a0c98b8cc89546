"""Judges a mail as a receiver does: SPF of its envelope, each of its signatures, and DMARC over both."""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from email.errors import MessageError
from email.parser import BytesHeaderParser
from email.policy import SMTP
from email.utils import parseaddr
from typing import Any

import dkim

from mailops.domains.checks.dmarc import walk_tree
from mailops.lib.dns_answers import Answer, Asks
from mailops.protocol import spf
from mailops.protocol.alignment import Author, Identifier, Result, align
from mailops.protocol.dns_records import READ_BITS, parse_dkim
from mailops.protocol.spf_envelope import Envelope

MOST_SIGNATURES = 8  # of one mail; more is no mail of ours
MOST_HEADER = 100_000  # octets; dkimpy's time grows by their square
_UNREADABLE = (
    "It can't be read as mail: its header has a line that is no header field. Receivers refuse such mail, or find no"
    " signature in it."
)
_LONG_HEADER = (
    f"It can't be judged, since its header is longer than {MOST_HEADER:,} octets. Receivers refuse such mail, or read no"
    " further."
)
_SPACES = re.compile(rb"[ \t]{2,}")
_TAG = re.compile(r"(?:^|;)\s*([a-z]+)\s*=\s*([^;]*)")


@dataclass(frozen=True)
class Sign:
    """What one means of authentication gave, and for which domain."""

    name: str  # SPF, or DKIM with its selector
    result: str  # as in Authentication-Results (RFC 8601)
    domain: str
    is_aligned: bool
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What a receiver makes of a mail."""

    result: str  # pass, fail, unknown
    sentence: str
    header_from: str
    policy: str
    signs: tuple[Sign, ...]

    def as_values(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Signature:
    domain: str
    selector: str
    result: str
    sentence: str


def judge(
    content: bytes, *, client: str, helo: str, envelope_sender: str, at: int, asks: Asks
) -> Verdict:
    """Return the verdict on a mail that `client` delivered; an address that isn't known makes SPF unknown."""
    domain = _author(content)
    if not domain:
        sentence = "It has no single From address, so no domain answers for it."
        return Verdict(Result.FAIL, sentence, "", "", ())
    if refusal := _objection(content):
        return Verdict(Result.FAIL, refusal, domain, "", ())
    walk = walk_tree(domain, asks)
    record = walk.policy_step.record if walk.policy_step else None
    author = Author(
        domain,
        walk.organizational_domain,
        record is not None and record.is_spf_strict,
        record is not None and record.is_dkim_strict,
    )
    said = _spf(client, helo, envelope_sender, at, asks)
    signatures = list(_signatures(content, asks))
    envelope = Identifier(
        _domain_of(envelope_sender, helo),
        _organization(_domain_of(envelope_sender, helo), asks),
        _works(said.result),
        "SPF",
    )
    others = [
        Identifier(one.domain, _organization(one.domain, asks), _works(one.result), one.selector)
        for one in signatures
    ]
    found = align(author, envelope, others)
    spf_leg, *dkim_legs = found.legs
    signs = [Sign("SPF", said.result, envelope.domain, spf_leg.is_aligned, said.reason)]
    signs += [
        Sign(f"DKIM {one.selector}", one.result, one.domain, leg.is_aligned, one.sentence)
        for one, leg in zip(signatures, dkim_legs, strict=True)
    ]
    is_open = walk.failure is not None and found.result is not Result.PASS
    result = Result.UNKNOWN if is_open else found.result
    return Verdict(
        result, _sentence(result, found.passes_by), domain, walk.effective_policy, tuple(signs)
    )


def _sentence(result: Result, legs: tuple[str, ...]) -> str:
    if result is Result.PASS:
        return f"DMARC passes by {' and by '.join(legs)}."
    if result is Result.UNKNOWN:
        return "Whether DMARC passes isn't known, since DNS could not be asked for everything."
    return "DMARC fails: nothing that authenticates it is aligned with its From."


def _author(content: bytes) -> str:
    """Return the domain of the one From address, in lower case."""
    try:
        found = BytesHeaderParser(policy=SMTP).parsebytes(content).get_all("From", [])
        text = str(found[0]) if len(found) == 1 else ""
    except (MessageError, ValueError, IndexError, AttributeError):
        return ""
    return parseaddr(text)[1].rpartition("@")[2].strip().lower()


def _objection(content: bytes) -> str:
    """Return why a mail can't be judged, an empty string where it can."""
    if len(content.partition(b"\r\n\r\n")[0]) > MOST_HEADER:
        return _LONG_HEADER
    try:
        dkim.DKIM(content)
    except (dkim.DKIMException, IndexError):  # the latter of a first line that goes on with none
        return _UNREADABLE
    return ""


def _domain_of(envelope_sender: str, helo: str) -> str:
    return (envelope_sender.rpartition("@")[2] or helo).lower()


def _organization(domain: str, asks: Asks) -> str:
    walk = walk_tree(domain, asks)
    return "" if walk.failure else walk.organizational_domain


def _works(result: str) -> bool | None:
    return None if result in {"temperror", "unknown"} else result == "pass"


@dataclass(frozen=True)
class _Said:
    result: str
    reason: str


def _spf(client: str, helo: str, envelope_sender: str, at: int, asks: Asks) -> _Said:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return _Said("unknown", "The address that connected was not kept, so SPF can't be judged.")
    said = spf.evaluate(Envelope(address, envelope_sender, helo, at=at), asks)
    return _Said(said.result, said.reason)


def _signatures(content: bytes, asks: Asks) -> Iterator[_Signature]:
    """Verify each signature, the topmost first, by dkimpy."""
    mail = dkim.DKIM(content)
    values = [value for name, value in mail.headers if name.lower() == b"dkim-signature"]
    for number, value in enumerate(values[:MOST_SIGNATURES]):
        tags = dict(_TAG.findall(re.sub(r"\s+", "", value.decode("ascii", "replace"))))
        signed = _narrowed(content) if tags.get("c", "").endswith("/relaxed") else content
        fetch = _Fetch(asks)
        result, sentence = "fail", "The signature does not match what arrived."
        try:
            if dkim.DKIM(signed).verify(idx=number, dnsfunc=fetch):
                result, sentence = "pass", "The signature matches the key in DNS."
        except (dkim.DKIMException, ValueError, LookupError, AttributeError, TypeError) as error:
            sentence = f"The signature can't be verified: {error}."
        if result != "pass":
            sentence = fetch.problem or sentence
        if fetch.failure:
            result, sentence = "temperror", f"Its key could not be asked for: {fetch.failure}"
        yield _Signature(tags.get("d", "").lower(), tags.get("s", ""), result, sentence)


def _narrowed(content: bytes) -> bytes:
    """Return `content` with each run of white space in its body made one space, as the relaxed form has it.

    dkimpy does so as well, but first takes minutes for a long run (RFC 6376 section 3.4.4).
    """
    head, end, body = content.partition(b"\r\n\r\n")
    return head + end + _SPACES.sub(b" ", body)


class _Fetch:
    """Asks for a key as dkimpy wants it, and remembers that DNS was silent or what is wrong with the key."""

    def __init__(self, asks: Asks) -> None:
        self._asks, self.failure, self.problem = asks, "", ""

    def __call__(self, name: bytes, timeout: float = 0) -> bytes | None:  # noqa: ARG002 - dkimpy gives it
        host = name.decode("ascii", "replace").rstrip(".")
        answer: Answer = self._asks(host, "TXT")
        if not answer.is_known:
            self.failure = answer.detail
        self.problem = _problem_of(host, answer.values)
        return None if self.problem else answer.values[0].encode()


def _problem_of(host: str, records: Sequence[str]) -> str:
    """Return why no signature can match the key at `host`; nothing where one can."""
    if not records:
        return f"There is no key at {host}."
    key = parse_dkim(records[0])
    if key.is_revoked:
        return f"The key at {host} is revoked (its p tag is empty)."
    if key.problems:
        return f"The key at {host} can't be used: {'; '.join(key.problems)}."
    if key.bits > READ_BITS:  # dkimpy would take hours for the longest that DNS can show
        return (
            f"The key at {host} has {key.bits} bits; receivers need not read more than {READ_BITS}."
        )
    return "" if key.signs_mail else f"The key at {host} isn't meant for mail (its s tag)."
