"""Asks the spam filters of the installation what they think of a mail: SpamAssassin over spamd's own protocol, rspamd over HTTP."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from socket import SHUT_WR

from django.conf import settings
from django.core.cache import cache

from mailops.content.gates.finding import Problem, found
from mailops.content.rendering import Rendered
from mailops.lib import egress
from mailops.lib.egress import EgressFault
from mailops.lib.env import host_and_port
from mailops.lib.fetching import fetch
from mailops.lib.timed_socket import TimedSocket

SECONDS = 10.0
MAX_ANSWER = 200_000  # octets
MAX_RULES = 12  # named; the rest is worth less than each of them
# of an answer about exactly this mail: a page that is looked at again doesn't ask again
KEPT_SECONDS = 600
_FROM, _TO = "news@example.com", "ada@example.com"
_HEAD = re.compile(rb"SPAMD/[\d.]+\s+(\d+)\s+(\S+)")
_SCORE = re.compile(r"Spam:\s*(True|False|Yes|No)\s*;\s*(-?[\d.]+)\s*/\s*(-?[\d.]+)", re.IGNORECASE)
_RULE = re.compile(r"^[ *]*(-?\d+(?:\.\d+)?)\s+([A-Z][A-Z0-9_]+)\s+(.*)$", re.MULTILINE)
_SPAM_ACTIONS = frozenset({"reject", "add header", "rewrite subject", "quarantine", "discard"})


class NoAnswer(Exception):
    """A filter could not be asked; the text says why."""


@dataclass(frozen=True)
class Verdict:
    points: float
    limit: float
    is_spam: bool
    rules: tuple[tuple[str, float, str], ...]  # name, points and what it means

    @property
    def worst(self) -> list[tuple[str, float, str]]:
        """The rules that speak against the mail, the heaviest first."""
        bad = [rule for rule in self.rules if rule[1] > 0]
        return sorted(bad, key=lambda rule: -rule[1])[:MAX_RULES]


def ask_filters(rendered: Rendered, *, language: str = "") -> list[Problem]:
    """Return what each configured filter says, its rules with their points; one that is away is no pass."""
    of = f" ({language})" if language else ""
    said = (
        _opinion(name, ask, rendered, of)
        for name, where, ask in _FILTERS
        if getattr(settings, where)
    )
    return [replace(problem, language=language) for problem in said]


def _opinion(name: str, ask: Callable[[bytes], Verdict], rendered: Rendered, of: str) -> Problem:
    try:
        verdict = _kept(name, ask, rendered)
    except NoAnswer as error:
        return found("spam.unasked", f"{name} could not be asked{of}: {error}.", part="")
    named = ", ".join(f"{rule} {worth:g}" for rule, worth, _ in verdict.worst)
    sentence = f"{name} gives {verdict.points:g} points of {verdict.limit:g}{of}"
    meanings = "; ".join(f"{rule}: {says}" for rule, _, says in verdict.worst[:4] if says)
    return found(
        "spam.score",
        f"{sentence}: {named}." if named else f"{sentence}.",
        part="",
        is_note=not verdict.is_spam,
        why=f"{meanings}." if meanings else "",
    )


def _kept(name: str, ask: Callable[[bytes], Verdict], rendered: Rendered) -> Verdict:
    said = json.dumps([name, rendered.subject, rendered.html, rendered.text])
    key = f"spam:{hashlib.sha256(said.encode()).hexdigest()}"
    verdict: Verdict | None = cache.get(key)
    if verdict is None:
        verdict = ask(_message(rendered))
        cache.set(key, verdict, KEPT_SECONDS)
    return verdict


def _message(rendered: Rendered) -> bytes:
    message = EmailMessage()
    message["From"] = _FROM
    message["To"] = f"Ada <{_TO}>"
    message["Subject"] = rendered.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{hashlib.sha256(rendered.text.encode()).hexdigest()}@example.com>"
    message.set_content(rendered.text)
    if rendered.html:
        message.add_alternative(rendered.html, subtype="html")
    return message.as_bytes(policy=SMTP)


def _ask_spamd(message: bytes) -> Verdict:
    asked = b"REPORT SPAMC/1.5\r\nContent-length: %d\r\n\r\n%b" % (len(message), message)
    answer = _talk(settings.MAILOPS_SPAMD, asked)
    head = _HEAD.match(answer)
    if not head or head[1] != b"0":
        raise NoAnswer(f"it answers {head[2].decode()}" if head else "its answer can't be read")
    text = answer.decode("utf-8", "replace")
    score = _SCORE.search(text)
    if score is None:
        raise NoAnswer("its answer can't be read")
    rules = tuple((rule, float(worth), says.strip()) for worth, rule, says in _RULE.findall(text))
    return Verdict(float(score[2]), float(score[3]), score[1].lower() in {"true", "yes"}, rules)


def _talk(listener: str, asked: bytes) -> bytes:
    """Say something to a listener of ours and return all that it answers, within the time."""
    try:
        connection, _ = egress.connect(egress.resolve(*host_and_port(listener)), timeout=SECONDS)
        with connection:
            timed = TimedSocket(connection, SECONDS)
            timed.sendall(asked)
            connection.shutdown(SHUT_WR)
            return timed.makefile().read(MAX_ANSWER)
    except EgressFault as fault:
        raise NoAnswer(fault.detail) from fault
    except TimeoutError as error:
        raise NoAnswer(f"no whole answer in {SECONDS:.0f} seconds") from error
    except OSError as error:
        raise NoAnswer(error.strerror or "the connection broke") from error


def _ask_rspamd(message: bytes) -> Verdict:
    headers = {"From": _FROM, "Rcpt": _TO}
    address = f"http://{settings.MAILOPS_RSPAMD}/checkv2"
    try:
        answer = fetch(address, method="POST", body=message, headers=headers, seconds=SECONDS)
    except EgressFault as fault:
        raise NoAnswer(fault.detail) from fault
    if answer.status != 200:
        raise NoAnswer(f"it answers {answer.status}")
    try:
        said = json.loads(answer.body)
        return Verdict(
            float(said["score"]),
            float(said["required_score"]),
            said["action"] in _SPAM_ACTIONS,
            tuple(_symbols(said["symbols"].values())),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoAnswer("its answer can't be read") from error


def _symbols(symbols: Iterable[dict[str, object]]) -> Iterable[tuple[str, float, str]]:
    for symbol in symbols:
        worth = float(str(symbol.get("score", 0)))
        yield str(symbol["name"]), worth, str(symbol.get("description", ""))


_FILTERS: list[tuple[str, str, Callable[[bytes], Verdict]]] = [
    ("SpamAssassin", "MAILOPS_SPAMD", _ask_spamd),
    ("rspamd", "MAILOPS_RSPAMD", _ask_rspamd),
]
