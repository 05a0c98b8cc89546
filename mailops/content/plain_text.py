"""Derives the text part of a mail from its HTML source, keeping the Liquid tags in their places.

The tags are masked before the HTML is parsed, since a parser moves what it doesn't know out of tables,
and put back afterwards; so a loop over rows survives, and its values come out as plain text.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailops.content.closing import count_unclosed
from mailops.content.masking import BLOCK, END, MASKED, OUTPUT, mask
from mailops.lib.whole_numbers import whole_number

MAX_DEPTH = 200  # of nested elements; deeper ones are left out
MAX_UNCLOSED = 2_000  # of elements

_BLOCKS_ALONE = re.compile(f"^ *((?:{BLOCK}\\d+{END} *)+)\n", re.MULTILINE)
_LINE, _PARAGRAPH, _CELL = "\ue002", "\ue003", "\ue004"  # asked for by elements, laid out later
_BLANK = "\ue006"  # stays where it is
_GAPS = f" {_LINE}{_PARAGRAPH}{_CELL}"

# Each begins where a run of gaps does: begun anew within it, a long run would be read again and again.
_AROUND_PARAGRAPH = re.compile(
    f"(?<![ {_LINE}{_CELL}])[ {_LINE}{_CELL}]*+{_PARAGRAPH}[ {_LINE}{_CELL}{_PARAGRAPH}]*"
)
_AROUND_LINE = re.compile(f"(?<![ {_CELL}])[ {_CELL}]*+{_LINE}[ {_CELL}{_LINE}]*")
_AROUND_CELL = re.compile(f"(?<! ) *+{_CELL}[ {_CELL}]*")

_UNSEEN = frozenset(
    {"style", "script", "head", "title", "template", "noscript", "svg", "iframe", "object"}
)
_PARAGRAPHS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "blockquote", "table", "pre"}
)
_LINES = frozenset(
    {"div", "section", "article", "header", "footer", "main", "nav", "center", "address", "li"}
    | {"tr", "dt", "dd", "caption", "form", "fieldset", "figure", "figcaption"}
)
_LISTS = frozenset({"ul", "ol"})
HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|max-height\s*:\s*0[a-z%]*\s*(?:[;!]|$)|opacity\s*:\s*0\s*(?:[;!]|$)",
    re.IGNORECASE,
)
_MARKUP_FILTERS = re.compile(r"\|\s*(?:escape_once|escape|newline_to_br)\s*(?=[|}-])")
_SAFE_FILTER = re.compile(r"\|\s*safe\s*(?=[|}-])")


class _Place(NamedTuple):
    """What is around an element."""

    depth: int = 0
    lists: int = 0  # entries of lists
    is_pre: bool = False

    @property
    def inside(self) -> "_Place":
        return _Place(self.depth + 1, self.lists, self.is_pre)


class _Numbers:
    """Of the entries of a list; where tags may repeat an entry or leave it out, the mail itself counts."""

    def __init__(self, node: LexborNode, place: _Place, tags: list[str]) -> None:
        self.tags = tags
        self.number = _given(node, "start", 1)
        self.name = f"entry_{place.depth}" if _has_blocks(node) else ""

    def beginning(self) -> str:
        return self._count_from(self.number) if self.name else ""

    def of(self, entry: LexborNode) -> str:
        """Return what stands before the next entry."""
        given = _given(entry, "value", -1)
        if self.name:
            begins = self._count_from(given) if given >= 0 else ""
            shown = self._tag(OUTPUT, f"{{{{ {self.name} }}}}")
            return f"{begins}{shown}.{self._count_from(f'{self.name} | plus: 1')}"
        self.number = (given if given >= 0 else self.number) + 1
        return f"{self.number - 1}."

    def _count_from(self, number: object) -> str:
        return self._tag(BLOCK, f"{{% assign {self.name} = {number} %}}")

    def _tag(self, begins: str, tag: str) -> str:
        self.tags.append(tag)
        return f"{begins}{len(self.tags) - 1}{END}"


def _given(node: LexborNode, name: str, otherwise: int) -> int:
    number = whole_number(node.attributes.get(name) or "")
    return otherwise if number is None else number


def _has_blocks(node: LexborNode) -> bool:
    return any(
        child.tag == "-comment" and BLOCK in (child.comment_content or "")
        for child in node.iter(include_text=True)
    )


def derive_text(html: str) -> str:
    """Return a Liquid source of plain text that says what the Liquid source `html` says."""
    masked, tags = mask(html)
    if count_unclosed(masked) > MAX_UNCLOSED:
        masked = re.sub(r"<[^<>]*>", " ", masked)
    # Begun in the body, so that tags before the doctype and in the head keep their places.
    body = LexborHTMLParser(f"<body>{masked}").body
    words = "".join(_words(body, _Place(), tags)) if body else ""
    text = _laid_out(words).replace(_BLANK, " ")
    return MASKED.sub(lambda match: _plain(tags[int(match[1])]), text)


def tidy_text(text: str) -> str:
    """Collapse the empty lines that tags leave behind in a derived text."""
    return re.sub(r"\n(?:[ \t]*\n){2,}", "\n\n", text).strip() + "\n"


def _words(node: LexborNode, place: _Place, tags: list[str]) -> Iterator[str]:
    if place.depth > MAX_DEPTH:
        return
    numbers = _Numbers(node, place, tags) if node.tag == "ol" else None
    if numbers:
        yield numbers.beginning()
    child = node.child
    while child is not None:
        tag = child.tag or ""
        if tag == "-text":
            yield _text_in(place, child.text_content or "")
        elif tag == "-comment":
            yield from (match[0] for match in MASKED.finditer(child.comment_content or ""))
        elif tag == "li" and not _is_hidden(child):
            yield _entry(child, numbers.of(child) if numbers else "-", place, tags)
        elif tag not in _UNSEEN and not _is_hidden(child):
            yield from _element(child, tag, place, tags)
        child = child.next


def _text_in(place: _Place, text: str) -> str:
    if place.is_pre:
        return text.replace("\r\n", "\n").replace("\n", _LINE).replace(" ", _BLANK)
    return re.sub(r"[ \t\r\n\f]+", " ", text)


def _is_hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    return "hidden" in attributes or bool(HIDDEN.search(attributes.get("style") or ""))


def _entry(node: LexborNode, sign: str, place: _Place, tags: list[str]) -> str:
    """Return an entry of a list: behind its sign, as far in as its list stands, whatever elements begin it."""
    inside = _Place(place.depth + 1, place.lists + 1, place.is_pre)
    words = "".join(_words(node, inside, tags))
    return f"{_LINE}{_BLANK * 2 * place.lists}{sign} {words.lstrip(_GAPS)}{_LINE}"


def _element(node: LexborNode, tag: str, place: _Place, tags: list[str]) -> Iterator[str]:
    gap = _PARAGRAPH if tag in _PARAGRAPHS else _LINE if tag in _LINES else ""
    if tag in _LISTS and place.lists:
        gap = _LINE
    yield gap
    if tag == "br":
        yield _LINE
    elif tag == "hr":
        yield f"{_PARAGRAPH}----{_PARAGRAPH}"
    elif tag == "img":
        yield node.attributes.get("alt") or ""
    elif tag == "a":
        words = "".join(_words(node, place.inside, tags))
        yield _link(words, node.attributes.get("href") or "")
    else:
        inside = place.inside if tag != "pre" else place.inside._replace(is_pre=True)
        yield from _words(node, inside, tags)
    yield _CELL if tag in {"td", "th"} else gap


def _link(words: str, href: str) -> str:
    """Write a link as its words and its address, once where both are the same."""
    said = words.strip(f" {_LINE}{_PARAGRAPH}{_CELL}")
    address = href.strip().removeprefix("mailto:").removeprefix("tel:")
    if not address or address.startswith("#") or said == address:
        return words
    return f"{said} ({address})" if said else address


def _laid_out(words: str) -> str:
    """Turn what the elements asked for into line breaks; tags between blocks don't count as words."""
    words = _AROUND_PARAGRAPH.sub("\n\n", words)
    words = _AROUND_LINE.sub(_LINE, words)
    words = _AROUND_CELL.sub("  ", words)
    lines = re.sub(f"{_LINE}+", "\n", words).split("\n")
    text = tidy_text("\n".join(re.sub(r"^ | $", "", line) for line in lines))
    return _BLOCKS_ALONE.sub(r"\1", text)  # a line of tags alone leaves no line behind


def _plain(tag: str) -> str:
    """Return a Liquid tag as it stands in plain text, where nothing is escaped."""
    if not tag.startswith("{{"):
        return tag
    return _SAFE_FILTER.sub("| strip_html ", _MARKUP_FILTERS.sub("", tag))
