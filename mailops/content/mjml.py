"""Compiles MJML to HTML, with each Liquid tag in its place, and says at which line a source is wrong."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from mailops.content.child import CompileFault, ask_child
from mailops.content.closing import INSIDE
from mailops.content.inlining import inline_styles
from mailops.content.masking import MASKED, mask, unmask

MAX_DEPTH = 60
MAX_LOST = 20  # Liquid tags that are named; more is more of the same
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
_HEAD = frozenset(
    [
        "mj-attributes",
        "mj-breakpoint",
        "mj-font",
        "mj-html-attributes",
        "mj-preview",
        "mj-raw",
        "mj-style",
        "mj-title",
    ]
)
_CONTENT = frozenset(
    [
        "mj-accordion",
        "mj-button",
        "mj-carousel",
        "mj-divider",
        "mj-image",
        "mj-navbar",
        "mj-raw",
        "mj-social",
        "mj-spacer",
        "mj-table",
        "mj-text",
    ]
)
# What may stand in what; of elements that aren't named here the content is HTML.
_INSIDE: dict[str, frozenset[str]] = {
    "": frozenset({"mjml"}),
    "mjml": frozenset({"mj-head", "mj-body"}),
    "mj-head": _HEAD,
    "mj-body": frozenset({"mj-section", "mj-wrapper", "mj-hero", "mj-raw"}),
    "mj-wrapper": frozenset({"mj-section", "mj-hero", "mj-raw"}),
    "mj-section": frozenset({"mj-column", "mj-group", "mj-raw"}),
    "mj-group": frozenset({"mj-column", "mj-raw"}),
    "mj-column": _CONTENT,
    "mj-hero": _CONTENT,
    "mj-social": frozenset({"mj-social-element", "mj-raw"}),
    "mj-navbar": frozenset({"mj-navbar-link", "mj-raw"}),
    "mj-accordion": frozenset({"mj-accordion-element", "mj-raw"}),
    "mj-accordion-element": frozenset({"mj-accordion-title", "mj-accordion-text", "mj-raw"}),
    "mj-carousel": frozenset({"mj-carousel-image"}),
    "mj-html-attributes": frozenset({"mj-selector"}),
    "mj-selector": frozenset({"mj-html-attribute"}),
}
_ALL = frozenset().union(*_INSIDE.values()) | {"mj-all", "mj-class", "mj-include"}
_WORDS_ALONE = frozenset({"mj-title", "title", "textarea"})  # elements of plain text
TOKEN = re.compile(  # what `closing.left_open` passes over at once is one token here, too
    rf"<!--.*?-->|<((?i:mj-style|style|script|mj-title|title|textarea))\b{INSIDE}(?<!/)>.*?</(?i:\1)\s*>"
    r"|<(/?)([a-zA-Z][\w:-]*)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>",
    re.DOTALL,
)
_STRAY = re.compile(r"<(?![a-zA-Z/!?])")  # the compiler reads no further, and names no line
_INLINE_STYLE = re.compile(
    r"<mj-style\b[^>]*\binline\s*=\s*[\"']inline[\"'][^>]*>(.*?)</mj-style\s*>", re.DOTALL
)


@dataclass(frozen=True)
class Mistake:
    sentence: str
    line: int
    is_error: bool = True
    rule: str = "liquid.syntax"


class WrongSource(CompileFault):
    """The source has mistakes, each at its line."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__(mistakes[0].sentence)
        self.mistakes = mistakes


def compile_mjml(source: str) -> str:
    """Return the HTML that `source` stands for; raise WrongSource or CompileFault."""
    source = source.replace("\r\n", "\n").replace("\r", "\n")  # the compiler takes CR for a word
    masked, tags = mask(source)
    mistakes = [mistake for mistake in find_mistakes(source) if mistake.is_error]
    if mistakes:
        raise WrongSource(mistakes)
    plain, css = _without_inline_styles(masked)
    mark = _mark_for(masked)
    html = _decoded(ask_child("mjml", _made_plain(plain, mark)), mark)
    lost = list(islice(_lost(masked, tags, html), MAX_LOST))
    if lost:
        raise WrongSource(lost)
    html = unmask(html, tags)
    return inline_styles(html, css=css, only_given=True)


def _lost(masked: str, tags: list[str], html: str) -> Iterator[Mistake]:
    """Yield a mistake for each Liquid tag that the compiler left out of its `html`, but for comments."""
    kept = {match[1] for match in MASKED.finditer(html)}
    breaks = [tag.count("\n") for tag in tags]
    for match in MASKED.finditer(masked):
        tag = tags[int(match[1])]
        if match[1] not in kept and not tag.startswith(("{% comment", "{%- comment")):
            line = _breaks(masked[: match.start()], breaks) + 1
            yield Mistake(f"{tag[:40]} stands where MJML drops it.", line, rule="liquid.mjml")


def _without_inline_styles(masked: str) -> tuple[str, str]:
    """Return the source without the styles that are to be inlined, and those."""
    css = []

    def take(token: re.Match[str]) -> str:
        inline = _INLINE_STYLE.fullmatch(token[0]) if token[1] == "mj-style" else None
        if inline is None:
            return token[0]
        css.append(inline[1])
        return ""

    return TOKEN.sub(take, masked), "\n".join(css)


def find_mistakes(source: str) -> list[Mistake]:
    """Return what is wrong with the elements of `source`: the compiler itself names no lines, and drops what it doesn't know."""
    masked, tags = mask(source)
    found = _mistakes(masked, [tag.count("\n") for tag in tags])
    return [replace(mistake, rule="liquid.mjml") for mistake in found]


def element_at(source: str, at: int) -> str:
    """Return the innermost element that is open at `at`; empty outside of all, and "<" within a tag."""
    before = source[:at]
    inside: list[str] = []
    end = 0
    for match in TOKEN.finditer(before):
        end = match.end()
        name = match[3]
        if not name or name.lower() in _VOID or match[4].rstrip().endswith("/"):
            continue
        if not match[2]:
            inside.append(name)
        elif name in inside:
            del inside[len(inside) - 1 - inside[::-1].index(name) :]
    if re.search(r"<[a-zA-Z/!][^>]*\Z", before[end:]):
        return "<"
    return inside[-1] if inside else ""


def _mistakes(masked: str, breaks: list[int]) -> Iterator[Mistake]:
    inside: list[tuple[str, int]] = []  # the open elements, each with its line
    at, line = 0, 1
    for match in TOKEN.finditer(masked):
        between = masked[at : match.start()]
        parent = inside[-1][0] if inside else ""
        for sentence, where, is_error in _astray(between, parent):
            yield Mistake(sentence, line + _breaks(between[:where], breaks), is_error)
        line += _breaks(between, breaks)
        if match[1] in _WORDS_ALONE:
            yield from _open(match[1], parent, line)
        if name := match[3]:
            if match[2]:
                yield from _close(name, inside, line)
            else:
                yield from _open(name, parent, line)
                if not match[4].rstrip().endswith("/") and name.lower() not in _VOID:
                    inside.append((name, line))
        line += _breaks(match[0], breaks)
        at = match.end()
        if len(inside) > MAX_DEPTH:
            yield Mistake(f"Elements are nested more than {MAX_DEPTH} deep.", line)
            return
    for name, opened in inside:
        yield Mistake(f"<{name}> is opened here and not closed.", opened)
    if "<mjml" not in masked:
        yield Mistake("MJML begins with <mjml> and <mj-body>.", 1)


def _astray(between: str, parent: str) -> Iterator[tuple[str, int, bool]]:
    """Yield what is wrong with the words between two tags: the sentence, where, and whether it is an error."""
    if parent in _INSIDE and re.sub(r"<!--.*?-->|[\ue000\ue005]\d+\ue001", "", between).strip():
        sentence = (
            f"Words stand between elements in <{parent or 'nothing'}>, where MJML drops them."
        )
        yield sentence, len(between) - len(between.lstrip()), parent == ""
    if stray := _STRAY.search(between):
        yield "“<” stands here as a word: write &lt;.", stray.start(), True


def _breaks(text: str, breaks: list[int]) -> int:
    return text.count("\n") + sum(breaks[int(match[1])] for match in MASKED.finditer(text))


def _open(name: str, parent: str, line: int) -> Iterator[Mistake]:
    if name == "mj-include":
        yield Mistake("Files can't be included; use {% render 'the name of a block' %}.", line)
    elif name.startswith("mj") and name not in _ALL:
        yield Mistake(f"MJML has no element <{name}>.", line)
    elif (parent in _INSIDE and name not in _INSIDE[parent]) or (
        name.startswith("mj-") and parent not in _INSIDE and parent != "mj-attributes"
    ):
        where = f"in <{parent}>" if parent else "outside of <mjml>"
        yield Mistake(f"<{name}> may not stand {where}.", line)


def _close(name: str, inside: list[tuple[str, int]], line: int) -> Iterator[Mistake]:
    if name.lower() in _VOID:
        return
    names = [opened for opened, _ in inside]
    if name not in names:
        yield Mistake(f"</{name}> closes nothing.", line)
        return
    while inside:
        opened, at = inside.pop()
        if opened == name:
            return
        yield Mistake(f"<{opened}> is opened here and not closed before </{name}>.", at)


def _mark_for(masked: str) -> str:
    mark = "xqz"
    while mark in masked:
        mark += "z"
    return mark


def _made_plain(masked: str, mark: str) -> str:
    """Return what the compiler writes as it reads it.

    It takes an HTML element that is never closed for open, and in attributes it writes quotes, backslashes and letters
    beyond ASCII as Rust would: so the first are closed, and the others stand there as words that begin with `mark`.
    """

    def plain(match: re.Match[str]) -> str:
        if titled := _TITLE.fullmatch(match[0]):
            return titled[1] + _encoded(titled[2], mark) + titled[3]
        if match[3] is None:
            return match[0]
        is_void = match[3].lower() in _VOID
        if match[2]:
            return "" if is_void else match[0]
        attributes = _QUOTED.sub(lambda value: f'"{_encoded(value[0][1:-1], mark)}"', match[4])
        is_open = is_void and not attributes.rstrip().endswith("/")
        return f"<{match[3]}{attributes}{' /' if is_open else ''}>"

    return TOKEN.sub(plain, masked)


_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_TITLE = re.compile(r"(<mj-title>)(.*?)(</mj-title\s*>)", re.DOTALL)  # becomes an attribute, too
_UNSAFE = re.compile(r"[^\x20-\x7e]|[\\\"']")


def _encoded(value: str, mark: str) -> str:
    return _UNSAFE.sub(lambda letter: f"{mark}{ord(letter[0]):x}_", value)


def _decoded(html: str, mark: str) -> str:
    def letter(match: re.Match[str]) -> str:
        found = chr(int(match[1], 16))
        return "&quot;" if found == '"' else found

    return re.sub(rf"{mark}([0-9a-f]+)_", letter, html)
