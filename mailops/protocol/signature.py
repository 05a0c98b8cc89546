"""Tells replies that mean the same from others: what changes from one to the next is masked, and the rest is hashed.

A signature is an SMTP code, an enhanced status (RFC 3463) and a pattern. The same reply has the same signature wherever
and whenever it is computed, so nothing must be looked up to give it one.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from mailops.protocol.reply import Reply

OTHER = 0  # the signature of what no row is kept for; no reply has it by itself
PATTERN_LIMIT = 300  # characters
_MAX_TEXT = 2000
_MAX_WORDS = 40  # what follows is most often an id, a link or an advertisement

ADDRESS, HOST, IP, TIME, ID, NUMBER = "‹address›", "‹host›", "‹ip›", "‹time›", "‹id›", "‹number›"

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffd]"
)
_LINE_STATUS = re.compile(r"(?:^|\n)\s*(?:[245]\d\d[ -])?\s*[245]\.\d{1,3}\.\d{1,3}(?=\s|$)")
_DATE = re.compile(
    r"(?:\b(?:mon|tue|wed|thu|fri|sat|sun),? )?\b\d{1,2} (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* \d{4}\b"
    r"(?:,? \d{1,2}:\d\d(?::\d\d)?)?(?: ?[+-]\d{4}\b| (?:gmt|utc)\b)?"
)
_BRACKETED = re.compile(r"<[^<>\s]{0,320}>")
_REPEATED = re.compile(r"(‹\w+›)(?:[ ,;:/|.-]{1,3}\1)+")

# A word is masked by the first of these that fits, whole or in its parts.
_LINK = re.compile(
    r"https?://([^/?#<>()\"']{1,255})([^?#<>()\"']{0,500})(?:[?#][^<>()\"']{0,800})?"
)
_DIGITS_IN_PATH = re.compile(r"[^/]*\d[^/]*")
_PARTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[^<>\"'(),;:\[\]]{1,128}@[^<>\"'(),;\[\]]{1,255}"), ADDRESS),
    (
        re.compile(
            r"\b\d{4}-\d\d-\d\d(?:t\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:z\b|[+-]\d\d:?\d\d\b)?)?"
        ),
        TIME,
    ),
    (re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?\b(?!:[\w:])"), TIME),
    (re.compile(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b(?:/\d{1,2}\b)?"), IP),
    (
        re.compile(
            r"(?<![\w:])(?:(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:){0,6}(?::[0-9a-f]{1,4}){1,6})(?![\w:])"
        ),
        IP,
    ),
    (re.compile(r"(?:[a-z0-9_-]{1,63}\.){1,9}[a-z][a-z0-9-]{1,23}(?![\w-])"), HOST),
    (re.compile(r"(?=[\w+/=.-]*[a-z])(?=[\w+/=.-]*\d)[\w+/=-][\w+/=.-]+(?<![.-])", re.ASCII), ID),
    (re.compile(r"[+-]?\d[\d.,:/-]*(?<![.,:/-])"), NUMBER),
)
_LONG = re.compile(r"[\w+/=-]{26,}", re.ASCII)
_MAX_WORD = 120  # no sentence of a tongue without spaces is longer; it bounds what the masks cost
# Not masked though it has digits: the status, and a receiver's own short code (“[tss04]”, “(s3140)”).
_TELLING = re.compile(
    r"[\[(]?[245]\.\d{1,3}\.\d{1,3}[\])]?[.,;:]?|[\[(][a-z]{1,5}\d{1,4}[\])][.,;:]?"
)
# A list that refuses us says by its name what to do; any other host says only where it happened.
_BEFORE_A_LIST = frozenset({"using", "by", "in", "on", "at", "see"})
_LISTS = re.compile(
    r"spamhaus|spamcop|barracuda|sorbs|uceprotect|surbl|uribl|dnsbl|[rd]bl\b|\bbl\.|blacklist|blocklist"
)
# Words that replies are made of: a name like one of them is not masked where it stands by itself.
_COMMON = frozenset(
    [
        "abuse",
        "access",
        "account",
        "address",
        "admin",
        "block",
        "blocked",
        "client",
        "contact",
        "content",
        "denied",
        "domain",
        "email",
        "error",
        "failed",
        "full",
        "host",
        "inbox",
        "info",
        "limit",
        "list",
        "mail",
        "mailbox",
        "mailer",
        "message",
        "nobody",
        "office",
        "policy",
        "postmaster",
        "quota",
        "reject",
        "rejected",
        "relay",
        "recipient",
        "sender",
        "server",
        "service",
        "spam",
        "support",
        "system",
        "temporary",
        "test",
        "unknown",
        "user",
        "users",
        "virus",
    ]
)


@dataclass(frozen=True, slots=True)
class Signature:
    """What all replies of one meaning have in common; `id` names it everywhere."""

    id: int
    code: int
    enhanced_status: str
    pattern: str

    def __str__(self) -> str:
        said = (str(self.code) if self.code else "", self.enhanced_status, self.pattern)
        return " ".join(part for part in said if part)


def signature_of(reply: Reply, *, recipient: str = "") -> Signature:
    """Return the signature of a negative reply; `recipient` is whom it was about, whose name it may repeat."""
    pattern = mask(reply.text, recipient=recipient)
    said = f"{reply.code}\n{reply.enhanced_status}\n{pattern}".encode()
    number = int.from_bytes(blake2b(said, digest_size=8).digest()) >> 1  # a bigint has a sign
    return Signature(number or 1, reply.code, reply.enhanced_status[:12], pattern)


def mask(text: str, *, recipient: str = "") -> str:
    """Return the words of a reply in lower case, with addresses, hosts, times, ids and numbers masked."""
    plain = _LINE_STATUS.sub("\n", _plain(text[:_MAX_TEXT]))
    if "<" in plain:
        plain = _BRACKETED.sub(ADDRESS, plain)
    plain = " ".join(plain.split())
    if ":" in plain:
        plain = _DATE.sub(TIME, plain)
    name = recipient.rpartition("@")[0].lower()
    if len(name) >= 3 and name not in _COMMON and name in plain:
        plain = re.sub(rf"(?<![\w.@-]){re.escape(name)}(?![\w@-]|\.\w)", ADDRESS, plain)
    words: list[str] = []
    before = ""
    for word in plain.split(" ", _MAX_WORDS)[:_MAX_WORDS]:
        words.append(word if word.isalpha() and len(word) < 26 else _mask_word(word, before))
        before = word
    masked = " ".join(words)
    if "›" in masked:
        masked = _REPEATED.sub(r"\1", masked)
    return masked[:PATTERN_LIMIT].rstrip()


def _plain(text: str) -> str:
    text = _INVISIBLE.sub("", text)
    if text.isascii():
        return text.lower()
    whole = text.encode("utf-8", "replace").decode()  # half a character can't be stored
    return unicodedata.normalize("NFKC", whole).casefold()


@lru_cache(maxsize=8192)
def _mask_word(word: str, before: str) -> str:
    """Return a word that has more than letters, masked in its parts; `before` is the word it follows."""
    if _TELLING.fullmatch(word):
        return word
    link = _LINK.search(word)
    if link:
        # what changes of a link is its query, and what has digits in its path
        kept = f"{link[1]}{_DIGITS_IN_PATH.sub(ID, link[2])}".rstrip("/.,;")
        return f"{word[: link.start()]}‹link {kept}›"
    if before in _BEFORE_A_LIST and _LISTS.search(word):
        return word
    word = word[:_MAX_WORD]
    parts = word.split("›") if "›" in word else [word]
    return "›".join(_mask_part(part) for part in parts)


def _mask_part(part: str) -> str:
    free, mark, masked = part.partition("‹")
    for pattern, name in _PARTS:
        free = _outside(pattern, name, free)
    free = _outside(_LONG, ID, free)
    return f"{free}{mark}{masked}"


def _outside(pattern: re.Pattern[str], name: str, text: str) -> str:
    """Mask what fits `pattern`, but not within what is masked already."""
    if "‹" not in text:
        return pattern.sub(name, text)
    pieces = re.split(r"(‹\w+›)", text)
    return "".join(one if one.startswith("‹") else pattern.sub(name, one) for one in pieces)
