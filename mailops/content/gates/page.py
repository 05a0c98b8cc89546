"""One rendered mail as the gates read it: parsed once, with the way back to a line of the source."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailops.content.lines import line_at
from mailops.content.plain_text import HIDDEN
from mailops.content.rendering import Rendered

MAX_ELEMENTS = 20_000  # further ones are not looked at
MAX_DEPTH = 200
UNSEEN = frozenset({"head", "style", "script", "title", "template", "noscript"})  # elements


@dataclass(frozen=True)
class Element:
    tag: str
    attributes: Mapping[str, str | None]
    node: LexborNode
    depth: int

    def get(self, name: str) -> str:
        return self.attributes.get(name) or ""

    @cached_property
    def words(self) -> str:
        return " ".join((self.node.text(deep=True) or "").split())

    @cached_property
    def declarations(self) -> Mapping[str, str]:
        return declarations(self.get("style"))

    @property
    def is_hidden(self) -> bool:
        return bool(HIDDEN.search(self.get("style")))


@dataclass(frozen=True)
class Page:
    rendered: Rendered
    source: str  # as the author wrote it
    compiled: str  # what was rendered, Liquid left
    names: Mapping[str, int]  # the variables used
    is_mjml: bool = False
    is_whole: bool = True  # a mail, not a block or a layout alone
    unsubscribe_url: str = ""  # what it was rendered with

    @cached_property
    def elements(self) -> list[Element]:
        root = LexborHTMLParser(self.rendered.html).root if self.rendered.html.strip() else None
        return list(_walk(root)) if root else []

    def tagged(self, *tags: str) -> Iterator[Element]:
        return (element for element in self.elements if element.tag in tags)

    def line_of(self, *needles: str) -> int | None:
        """Return the line where the source first says one of `needles`; None where a layout or a block says it."""
        if needles not in self._lines_found:
            places = (self.source.find(needle) for needle in needles if needle)
            at = next((place for place in places if place >= 0), -1)
            self._lines_found[needles] = line_at(self.source, at) if at >= 0 else None
        return self._lines_found[needles]

    @cached_property
    def _lines_found(self) -> dict[tuple[str, ...], int | None]:
        return {}

    def line_matching(self, pattern: str) -> int | None:
        match = re.search(pattern, self.source, re.IGNORECASE)
        return line_at(self.source, match.start()) if match else None


def shown_words(words: str) -> str:
    """Return `words` without what takes no room, each gap one blank."""
    return re.sub(r"[\s\u034f\u200b-\u200d\ufeff]+", " ", words).strip()


@lru_cache(maxsize=1024)
def declarations(style: str) -> Mapping[str, str]:
    """Return the declarations of a style attribute, the last of each property."""
    pairs = (part.partition(":") for part in style.split(";"))
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def _walk(root: LexborNode) -> Iterator[Element]:
    """Yield the elements below and with `root` in the order of the source."""
    waiting: list[tuple[LexborNode, int]] = [(root, 0)]
    seen = 0
    while waiting and seen < MAX_ELEMENTS:
        node, depth = waiting.pop()
        if depth and node.next is not None:
            waiting.append((node.next, depth))
        tag = node.tag
        if not tag or tag.startswith("-"):
            continue
        seen += 1
        yield Element(tag, node.attributes, node, depth)
        if node.child is not None and depth < MAX_DEPTH:
            waiting.append((node.child, depth + 1))
