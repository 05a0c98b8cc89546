"""Finds in the text of a bounce whom it speaks of and what it says of each; servers write it as they like.

An address that begins a line, follows a word for “recipient”, or stands in a reply is meant; one within a sentence is
taken only where there is no such line.
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice

from mailops.protocol.bounce_words import NOBODY
from mailops.protocol.classification.deciding import explains
from mailops.protocol.classification.folding import fold_letters
from mailops.protocol.report import addresses_in

MAX_LINES = 600
MAX_SAID = 500
MAX_RECIPIENTS = 100  # of whom all is read that is said; of those behind it where it is asked for
MAX_MENTIONS = 20  # lines with one address in them
MAX_PARAGRAPHS = 200  # that are looked at for all addresses together

_BULLET = re.compile(r"^(?:[\s>*•·\-–—=|\"'“”‘’(\[]|\d{1,3}[.)]\s)+")
_SEPARATORS = " \t>)]\"'“”‘’:：,;.…-–"
_NAMED = re.compile(r"^[^<>@:]{0,80}[<(\[]?$")
_RCPT = re.compile(r"rcpt\s+to\s*:", re.IGNORECASE)
_REPLY = re.compile(
    r"(?<![\d.:/\-])[45]\d\d(?:[ \-]+(?:#?[45]\.\d{1,3}\.\d{1,3})?|:|$)|#?(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![.\d])"
)
_DATE = re.compile(
    r"^\s*(?:on|am|le|el|il|em|op)\s+\w{2,12}[., ].{0,60}?\d{1,2}[:.]\d\d.*$", re.IGNORECASE
)
_GENERATED = re.compile(
    r"(?:generated|expanded) from:?\s{1,8}<?([^\s<>()]{1,250}@[^\s<>()]{1,250})", re.IGNORECASE
)
_KEY = re.compile(r"^[\s>*•|-]*([^:：=@]{1,40})[:：=]")
_OURS = re.compile(
    r"(?:original[- ])?(?:from|sender|reply-to|return-path|message-?id|von|absender|expediteur|de|remitente|mittente|da|remetente|van|afzender|od|nadawca|fran|fra|kimden|contact|postmaster|mailto|errors-to|"
    r"list-unsubscribe)\b|发件人|寄件者|寄件人|发送者|差出人|送信者|발신|보낸|от кого|отправител|^от$"
)
_THEIRS = re.compile(
    r"\b(?:to|recipients?|rcpt|address(?:es|ee)?|mailbox|user|failed|an|empfanger|adresse|a|destinataires?|destinatari[oa]s?|para|direccion|indirizzo|endereco|aan|ontvanger|geadresseerde|do|adresat|odbiorca|komu|prijemce|till|mottagare|til|modtager|mottaker|vastaanottaja|kime|alici|cimzett|catre)\b|"
    r"收件人|收件者|收信人|接收|宛先|宛て|あて先|受信者|送信先|받는|수신|кому|получател|адресат|παραληπτη"
)
_FOR_HELP = re.compile(
    r"contact|forward|report|assist|help|question|complain|support|unblock|delist|whitelist|removal|reply to"
    r"|please (?:send|write|mail|e-?mail)",
    re.IGNORECASE,
)
_SESSION = re.compile(r"^\s*(?:<<<|<--|<-|<=|s:|<)\s*(?=[2345]\d\d)", re.IGNORECASE)
_COMMAND = re.compile(r"^\s*(?:>>>|-->|->|c:)\s", re.IGNORECASE)


@dataclass(frozen=True)
class Told:
    """One address a text speaks of, and what it says of it, read when it is asked for."""

    address: str
    read: Callable[[], str]

    @cached_property
    def said(self) -> str:
        return self.read()


@dataclass(frozen=True)
class Telling:
    """The text of one report; `ignored` are addresses, in lower case, that it can't be about."""

    text: str
    ignored: frozenset[str] = frozenset()

    @cached_property
    def lines(self) -> list[str]:
        return [line.rstrip()[:2000] for line in self.text.split("\n")[:MAX_LINES]]

    @cached_property
    def _lowered(self) -> list[str]:
        return [line.lower() for line in self.lines]

    @cached_property
    def _first_addresses(self) -> list[str]:
        """The first address of each line, empty where it has none."""
        found = (addresses_in(line) if "@" in line else [] for line in self.lines)
        return [next(iter(addresses), "") for addresses in found]

    @cached_property
    def _quotes(self) -> dict[str, str]:
        return {}

    @cached_property
    def _paragraphs_left(self) -> Iterator[int]:
        return iter(range(MAX_PARAGRAPHS))

    @cached_property
    def recipients(self) -> list[Told]:
        """The addresses that the text is about, in order."""
        meant = self._meant or dict.fromkeys(self._mentioned, -1)
        aliases = {alias.lower() for alias in self._aliases.values()}
        found: dict[str, Told] = {}
        behind = replace(
            self
        )  # those many are not asked for together: they get paragraphs of their own
        for address, number in meant.items():
            name = self._aliases.get(address, address)
            if name == address and name.lower() in aliases and len(meant) > 1:
                continue
            telling = self if len(found) < MAX_RECIPIENTS else behind
            found.setdefault(name.lower(), Told(name, partial(telling.said_at, address, number)))
        return list(found.values())

    @property
    def is_cut(self) -> bool:
        """Whether the text has lines that are not read."""
        return self.text.count("\n") >= MAX_LINES

    @property
    def made_from(self) -> set[str]:
        """The addresses, in lower case, that stand for one we wrote to."""
        return {address.lower() for address in self._aliases}

    def said_about(self, address: str) -> str:
        """Return what is said of one address that is known, or an empty string."""
        for number, line in self._mentions(address):
            if not _is_ours(line):
                said = self.said_at(address, number)
                if said:
                    return said
        return self.said_anywhere

    def _mentions(self, address: str, *, after: int = -1) -> Iterator[tuple[int, str]]:
        """Yield the next lines that have the address in them, with their numbers."""
        wanted = address.lower()
        numbers = range(after + 1, len(self.lines)) if wanted else ()
        found = (
            (number, self.lines[number]) for number in numbers if wanted in self._lowered[number]
        )
        return islice(found, MAX_MENTIONS)

    @cached_property
    def said_anywhere(self) -> str:
        """The first reply that is quoted, else the first sentence that gives a reason."""
        for number, line in enumerate(self.lines):
            if _REPLY.search(line) and not _COMMAND.match(line) and not _is_ours(line):
                return self._joined(number, line)
        whole = "\n".join(self.lines)
        if not explains(whole, vaguely=True):
            return ""
        clear = (_short(part) for part in self._paragraphs if explains(part[:600]))
        vague = (_short(one) for one in self._paragraphs if explains(one[:600], vaguely=True))
        return next(clear, "") or next(vague, "")

    @cached_property
    def _paragraphs(self) -> list[str]:
        return [part for part in re.split(r"\n\s*\n", "\n".join(self.lines)) if part.strip()][:30]

    @cached_property
    def _meant(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for number, line in enumerate(self.lines):
            if "@" not in line or _is_ours(line):
                continue
            for address in addresses_in(line)[:20]:
                if self._may_be(address) and _is_meant(line, address):
                    found.setdefault(address, number)
        return _once(found)

    @cached_property
    def _mentioned(self) -> list[str]:
        lines = "\n".join(line for line in self.lines if "@" in line and not _is_ours(line))
        return [one for one in addresses_in(lines) if self._may_be(one)][:3]

    @cached_property
    def _aliases(self) -> dict[str, str]:
        """Address in the text → the address it was made from, which is the one written to (Exim)."""
        found: dict[str, str] = {}
        for address, number in self._meant.items():
            for line in self.lines[number : number + 3]:
                if alias := _GENERATED.search(line):
                    found[address] = alias[1].strip("<>()")
        return found

    def _may_be(self, address: str) -> bool:
        return address.lower() not in self.ignored and not NOBODY.match(address)

    def said_at(self, address: str, number: int) -> str:
        if number < 0:
            return self.said_anywhere
        paragraph = self._below(address, number, _beside(self.lines[number], address))
        if paragraph and not any(_REPLY.search(line) for line in paragraph):
            # in words for people; the reply itself may stand further down, for administrators
            paragraph = self._replied(address, number) or paragraph
        if paragraph:
            return _short("\n".join(paragraph))
        return self._quoted(address) or self.said_anywhere

    def _quoted(self, address: str) -> str:
        """Return the first reply that is quoted where the address stands, or an empty string."""
        if address not in self._quotes:
            quotes = (one for one in self._lines_with(address) if _REPLY.search(one))
            self._quotes[address] = _short(next(quotes, ""))
        return self._quotes[address]

    def _replied(self, address: str, after: int) -> list[str]:
        """Return what stands by a later mention of the address, where that quotes a reply."""
        for number, line in self._mentions(address, after=after):
            if not _is_ours(line) and _is_meant(line, address):
                paragraph = self._below(address, number, _beside(line, address))
                if any(_REPLY.search(one) for one in paragraph):
                    return paragraph
        return []

    def _below(self, address: str, number: int, beside: str) -> list[str]:
        """Return the first paragraph, from the address's own line on, that says why; none where another comes first."""
        if next(self._paragraphs_left, None) is None:
            return []
        paragraph, blanks = [beside] if beside else [], 0
        for following, line in enumerate(self.lines[number + 1 : number + 40], number + 1):
            if not line.strip():
                blanks += 1
                if _tells(paragraph) or blanks > 4:
                    break
                paragraph = []
            elif self._is_anothers(following, address):
                break
            elif not (_GENERATED.search(line) or _COMMAND.match(line)):
                paragraph.append(line.strip())
        return paragraph if _tells(paragraph) else []

    def _is_anothers(self, number: int, address: str) -> bool:
        other = self._first_addresses[number]
        if not other or other.lower() == address.lower() or other not in self._meant:
            return False
        return not _REPLY.search(self.lines[number].partition(other)[0])

    def _lines_with(self, address: str) -> Iterator[str]:
        for number, line in self._mentions(address):
            if not _COMMAND.match(line):
                yield self._joined(number, line)

    def _joined(self, number: int, line: str) -> str:
        """Return a line with those that go on with it."""
        parts = [_SESSION.sub("", line).strip()]
        for following in self.lines[number + 1 : number + 8]:
            if not following.strip() or _COMMAND.match(following):
                break
            parts.append(_SESSION.sub("", following).strip())
        return _short("\n".join(parts))


def _beside(line: str, address: str) -> str:
    """Return what an address's own line says of it."""
    start = line.lower().find(address.lower())
    before, rest = line[:start], line[start + len(address) :].lstrip(_SEPARATORS)
    if _RCPT.search(before):
        return ""
    if _REPLY.search(before):
        return line.strip()
    if not rest.strip(_SEPARATORS):
        return line.strip() if explains(before[:600]) else ""
    return "" if _DATE.match(rest) else rest


def _is_meant(line: str, address: str) -> bool:
    before = line.partition(address)[0]
    plain = _BULLET.sub("", before)
    if plain in {"", "<", "mailto:"}:
        return True
    after = line.partition(address)[2].strip(_SEPARATORS)
    if _RCPT.search(before):
        return True
    is_named = not after and len(before) < 90 and _NAMED.match(plain) is not None
    if (is_named or _REPLY.search(before)) and not _FOR_HELP.search(before[-80:]):
        return True
    key = _KEY.match(line)
    return key is not None and _THEIRS.search(fold_letters(key[1])) is not None


def _is_ours(line: str) -> bool:
    key = _KEY.match(line)
    return key is not None and _OURS.match(fold_letters(key[1].strip())) is not None


def _tells(paragraph: Collection[str]) -> bool:
    text = "\n".join(paragraph)
    return bool(text.strip()) and (_REPLY.search(text) is not None or explains(text[:1000]))


def _once(found: dict[str, int]) -> dict[str, int]:
    seen: dict[str, str] = {}
    for address in found:
        seen.setdefault(address.lower(), address)
    return {address: found[address] for address in seen.values()}


def _short(text: str) -> str:
    return " ".join(text.split())[:MAX_SAID]
