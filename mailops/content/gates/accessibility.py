"""What screen readers need: a language, headings in order, layout tables that say so, links that speak."""

from collections.abc import Iterator
from unicodedata import bidirectional

from mailops.content.gates.finding import Problem, found
from mailops.content.gates.page import Element, Page

_LOOKED_AT = 2_000  # characters
_SAYS_NOTHING = frozenset(
    {"click here", "here", "this link", "link", "more", "read more here", "klick hier", "hier"}
)


def find(page: Page) -> Iterator[Problem]:
    if not page.rendered.html:
        return
    if page.is_whole:
        yield from _language(page)
        yield from _direction(page)
    yield from _headings(page)
    yield from _tables(page)
    for link in page.tagged("a"):
        if link.words.lower().strip(" .!»>→") in _SAYS_NOTHING:
            line = page.line_of(f">{link.words}<", link.words)
            sentence = f"The link's words are “{link.words}”."
            yield found("accessibility.link_words", sentence, line=line)


def _language(page: Page) -> Iterator[Problem]:
    languages = [element.get("lang") for element in page.tagged("html", "body", "div")]
    if not any(language not in {"", "und"} for language in languages):
        line = page.line_matching(r"<html|<mjml")
        yield found("accessibility.lang", "The mail doesn't say its language.", line=line)


def _direction(page: Page) -> Iterator[Problem]:
    letters = [bidirectional(letter) for letter in page.rendered.text[:_LOOKED_AT]]
    to_the_left = sum(letters.count(each) for each in ("R", "AL"))
    says_so = any(
        element.get("dir").lower() == "rtl" or element.declarations.get("direction") == "rtl"
        for element in page.elements
    )
    if to_the_left > letters.count("L") and not says_so:
        sentence = "The words run from right to left, and the mail doesn't say so."
        line = page.line_matching(r"<html|<mjml")
        yield found("accessibility.direction", sentence, line=line)


def _headings(page: Page) -> Iterator[Problem]:
    last = 0
    for heading in page.tagged("h1", "h2", "h3", "h4", "h5", "h6"):
        level = int(heading.tag[1])
        if level > last + 1 and last:
            line = page.line_of(f">{heading.words[:40]}") or page.line_matching(
                rf"<{heading.tag}\b"
            )
            sentence = f"<{heading.tag}> follows <h{last}>; a level is left out."
            yield found("accessibility.headings", sentence, line=line)
        last = level


def _tables(page: Page) -> Iterator[Problem]:
    if page.is_mjml:
        return  # MJML says it of its own tables
    for table in page.tagged("table"):
        if table.get("role") or _holds_data(table):
            continue
        line = page.line_matching(r"<table(?![^<>]{0,2000}\brole\s{0,9}=)")
        sentence = "A table for layout doesn't say that it is one."
        yield found("accessibility.table", sentence, line=line)
        return


def _holds_data(table: Element) -> bool:
    return table.node.css_first("th") is not None or table.node.css_first("caption") is not None
