"""Derives the text part of a mail from its HTML source, keeping the Liquid tags in their places.

The tags are masked before the HTML is parsed, since a parser moves what it doesn't know out of tables,
and put back afterwards; so a loop over rows survives, and its values come out as plain text.
"""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailops.content.masking import BLOCK, END, MASKED, mask

MAX_DEPTH = 200  # of nested elements; deeper ones are left out
MAX_UNCLOSED = 2_000  # of elements; the parser takes quadratic time over such a source

_BLOCKS_ALONE = re.compile(f"^ *((?:{BLOCK}\\d+{END} *)+)\n", re.MULTILINE)
_LINE, _PARAGRAPH, _CELL = "\ue002", "\ue003", "\ue004"  # asked for by elements, laid out later

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
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_MARKUP_FILTERS = re.compile(r"\|\s*(?:escape_once|escape|newline_to_br)\s*(?=[|}-])")
_SAFE_FILTER = re.compile(r"\|\s*safe\s*(?=[|}-])")


def derive_text(html: str) -> str:
    """Return a Liquid source of plain text that says what the Liquid source `html` says."""
    masked, tags = mask(html)
    if masked.count("<") - 2 * masked.count("</") - 2 * masked.count("<!--") > MAX_UNCLOSED:
        masked = re.sub(r"<[^<>]*>", " ", masked)
    # Begun in the body, so that tags before the doctype and in the head keep their places.
    body = LexborHTMLParser(f"<body>{masked}").body
    words = "".join(_words(body, 0)) if body else ""
    return MASKED.sub(lambda match: _plain(tags[int(match[1])]), _laid_out(words))


def tidy_text(text: str) -> str:
    """Collapse the empty lines that tags leave behind in a derived text."""
    return re.sub(r"\n(?:[ \t]*\n){2,}", "\n\n", text).strip() + "\n"


def _words(node: LexborNode, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        return
    number = 0
    child = node.child
    while child is not None:
        tag = child.tag or ""
        if tag == "-text":
            yield re.sub(r"[ \t\r\n\f]+", " ", child.text_content or "")
        elif tag == "-comment":
            yield from (match[0] for match in MASKED.finditer(child.comment_content or ""))
        elif tag not in _UNSEEN and not _HIDDEN.search(child.attributes.get("style") or ""):
            number += tag == "li"
            yield from _element(child, tag, depth, number)
        child = child.next


def _element(node: LexborNode, tag: str, depth: int, number: int) -> Iterator[str]:
    gap = _PARAGRAPH if tag in _PARAGRAPHS else _LINE if tag in _LINES else ""
    yield gap
    if tag == "br":
        yield _LINE
    elif tag == "hr":
        yield f"{_PARAGRAPH}----{_PARAGRAPH}"
    elif tag == "img":
        yield node.attributes.get("alt") or ""
    elif tag == "a":
        yield _link("".join(_words(node, depth + 1)), node.attributes.get("href") or "")
    elif tag == "pre":
        yield (node.text(deep=True) or "").replace("\n", _LINE)
    else:
        if tag == "li":
            ordered = node.parent is not None and node.parent.tag == "ol"
            yield f"{number}. " if ordered else "- "
        yield from _words(node, depth + 1)
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
