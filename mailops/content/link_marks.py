"""Marks the links in a template's HTML, so that those of each rendered mail are found without reading its HTML again.

A mark is a control character and a number drawn at random with each compilation, which no recipient's value can
contain; what is left of marks after rendering is taken out, and the mail is what it would be without them.

Left alone are links that are marked `data-track="off"` or `rel="no-track"`, in comments (but in Outlook's conditional
ones, which it shows), in Liquid's `raw` and `capture`, and all that can't become an http or https address. Plain text
has no marks: there a reader sees the address itself, and a long one of ours in its place would only look like fraud.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from html.entities import html5
from typing import NamedTuple

from mailops.content.masking import LIQUID
from mailops.protocol.html_text import unescape

MAX_LINKS = 1000  # of one mail; those behind are left alone
MAX_WRITTEN = 300  # characters of a link's name

_FILLER = "\ue000"  # stands for each character of Liquid while HTML is read
_CAPTURED = re.compile(r"\{%-?\s*capture\b.*?\{%-?\s*endcapture\s*-?%\}", re.DOTALL)
_TOKENS = re.compile(r"<!--|<(/?)([a-zA-Z][^\s/>\ue000]*)")
# Outlook reads on, others don't
_CONDITION = re.compile(r"<!--\[if\b[^\]>]{0,200}\]>", re.IGNORECASE)
_NOTHING = re.compile(r"<!---?>")  # a comment, too (HTML, 13.2.5.43)
_END_OF_COMMENT = re.compile(r"--!?>")
_TEXTUAL = frozenset({"script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"})  # fmt: skip
_ATTRIBUTE = re.compile(
    r"(?:[\s/\ue000]|(?<=\ue000)=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>\"']*))*"  # nobody knows whose value
    r"(?:(?P<end>>)|(?P<name>=?[^\s/>=\ue000]*)"
    r"(?P<equals>\s*=\s*)?(?(equals)(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s>\"'][^\s>]*))?))"
)
_LINKING = re.compile(r"a|area|v:[a-z]+")  # v: Outlook's shapes, which buttons are made of
_OFF = frozenset({"off", "false", "no", "0"})
_LEAVING = re.compile(r"unsubscribe_url|preferences_url")
_TRIMS = ("{{-", "{%-", "-}}", "-%}")
_HTTP = re.compile(r"https?:", re.IGNORECASE)
_REFERENCE = re.compile(r"&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[a-zA-Z0-9]+;?)(=?)")
_UNSEEN = re.compile(r"[\t\n\r]")  # a browser takes them out of an address (WHATWG URL, 4.4)
_EDGES = "".join(map(chr, range(0x21)))


@dataclass(frozen=True, slots=True)
class MarkedLink:
    written: str  # as the template writes it, Liquid and all: the same for all who get it
    quote: str  # what the value stands in, empty for nothing


@dataclass(frozen=True)
class Marks:
    """Where links stand in one source, and how to fill in what replaces them."""

    source: str  # with marks
    links: tuple[MarkedLink, ...]
    nonce: str = field(repr=False)
    _mark: re.Pattern[str] = field(repr=False)

    def fill(
        self, rendered: str, replace: Callable[[MarkedLink, str], str] | None, picture: str
    ) -> str:
        """Return the HTML with what `replace` returns for each value of an href, and the picture at its end.

        A value for which it returns nothing stays as it is written. Without `replace` all do.
        """
        # Split and searched for as they stand: a regular expression over all of a mail takes ten times as long.
        before, *marked = rendered.split(f"\x02{self.nonce}")
        parts = [before]
        for piece in marked:
            number, _, behind = piece.partition(";")
            if number == "p":
                parts += [picture, behind]
                continue
            value, end, rest = behind.partition(f"\x03{self.nonce}{number};")
            link = self.links[int(number)]
            if end and replace is not None and _is_whole(value, link.quote):
                value = replace(link, value) or value
            parts += [value, rest]
        filled = "".join(parts)
        return self.strip(filled) if f"\x03{self.nonce}" in filled else filled

    def strip(self, rendered: str) -> str:
        """Return the HTML as it would be without marks."""
        return self._mark.sub("", rendered)


class _Place(NamedTuple):
    start: int
    end: int
    quote: str


def mark_links(source: str) -> Marks:
    """Return `source`, a Liquid source of HTML, with its links marked, and the place of a picture."""
    nonce = secrets.token_hex(5)
    places, closing = _read(source)
    places = [place for place in places if _may_lead(source[place.start : place.end], place.quote)]
    places = places[:MAX_LINKS]
    marks = [(place.start, f"\x02{nonce}{number};") for number, place in enumerate(places)]
    marks += [(place.end, f"\x03{nonce}{number};") for number, place in enumerate(places)]
    marks.append((closing, f"\x02{nonce}p;"))
    parts: list[str] = []
    at = 0
    for place, mark in sorted(marks):
        parts += [source[at:place], mark]
        at = place
    links = tuple(MarkedLink(_written(source[start:end]), quote) for start, end, quote in places)
    return Marks(
        "".join([*parts, source[at:]]),
        links,
        nonce,
        re.compile(f"[\x02\x03]{nonce}(?:[0-9]+|p);"),
    )


@lru_cache(maxsize=2048)  # most links of a mail are the same for all who get it
def address_in(value: str) -> str:
    """Return the address that an href's value says, as a browser reads it (HTML, 13.2.5.73; WHATWG URL, 4.4)."""
    if "&" in value:
        value = _REFERENCE.sub(_character, value)
    return _UNSEEN.sub("", value.strip(_EDGES))


def _character(match: re.Match[str]) -> str:
    name, equals = match[1], match[2]
    if name[0] == "#":
        return unescape(f"&{name}") + equals
    # in an attribute, one without a semicolon counts only where nothing follows that may belong to its name
    is_known = name in html5 and (name[-1] == ";" or not equals)
    return html5[name] + equals if is_known else match[0]


def _is_whole(value: str, quote: str) -> bool:
    """Tell whether what was rendered is one value still: what a filter let through may end it."""
    if quote:
        return quote not in value
    return not any(letter in "\"'<>`" or letter.isspace() for letter in value)


def _may_lead(value: str, quote: str) -> bool:
    if "{{" not in value and "{%" not in value:
        return _HTTP.match(address_in(value)) is not None
    if not quote and any(trim in value for trim in _TRIMS):
        return False  # it trims the space behind the value, which a mark would keep
    return _LEAVING.search(value) is None


def _written(value: str) -> str:
    return " ".join(address_in(value).split())[:MAX_WRITTEN]


def _read(source: str) -> tuple[list[_Place], int]:
    """Return where values of links' hrefs stand in `source`, and where its body ends."""
    shadow = LIQUID.sub(_fill, _CAPTURED.sub(_fill, source))
    places: list[_Place] = []
    closing, at, hidden_until = len(shadow), 0, 0
    while token := _TOKENS.search(shadow, at):
        if token[0] == "<!--":
            at, hidden_until = _after_comment(shadow, token.start(), hidden_until)
        elif token[1]:
            at = token.end()
            if token[2].lower() == "body" and at > hidden_until:
                closing = token.start()
        else:
            name = token[2].lower()
            at, found = _read_tag(shadow, token.end(), name)
            places += found
            if name in _TEXTUAL:
                at = _after_text(shadow, at, name)
    return places, closing


def _is_off(name: str, value: str) -> bool:
    """Tell whether an attribute asks to leave the link alone; MJML's buttons keep `rel`, and no data of their own."""
    if name == "rel":
        return "no-track" in value.lower().split()
    return name == "data-track" and value.strip().lower() in _OFF


def _fill(match: re.Match[str]) -> str:
    return _FILLER * len(match[0])


def _after_comment(shadow: str, start: int, hidden_until: int) -> tuple[int, int]:
    """Return where to read on, and until where only Outlook reads."""
    if nothing := _NOTHING.match(shadow, start):
        return nothing.end(), hidden_until
    end = _END_OF_COMMENT.search(shadow, start + 4)
    behind = end.end() if end else len(shadow)
    condition = _CONDITION.match(shadow, start)
    if condition and condition.end() <= behind:
        return condition.end(), behind
    return behind, hidden_until


def _after_text(shadow: str, at: int, name: str) -> int:
    end = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(shadow, at)
    return end.start() if end else len(shadow)


def _read_tag(shadow: str, at: int, tag: str) -> tuple[int, list[_Place]]:
    """Return where the tag ends, and where the hrefs in it stand, if they may be followed."""
    places: list[_Place] = []
    is_off = False
    while at < len(shadow) and (attribute := _ATTRIBUTE.match(shadow, at)):
        if attribute["end"]:
            is_link = _LINKING.fullmatch(tag) and not is_off
            return attribute.end(), places if is_link else []
        kind = attribute.lastgroup or ""
        if kind not in {"double", "single", "bare"}:
            if attribute["equals"] and shadow[attribute.end() : attribute.end() + 1] in {'"', "'"}:
                break  # nothing closes the quote: the rest of the mail is its value
            kind = ""
        name = attribute["name"].lower()
        if name == "href" and kind:
            quote = {"double": '"', "single": "'"}.get(kind, "")
            places.append(_Place(attribute.start(kind), attribute.end(kind), quote))
        elif kind:
            is_off = is_off or _is_off(name, attribute[kind])
        if attribute.end() == at:
            at += 1
        else:
            at = attribute.end()
    return len(shadow), []
