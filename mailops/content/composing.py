"""Puts a mail together from its own source, its layout and its blocks, and compiles that to the HTML that is rendered."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailops.content.child import CompileFault
from mailops.content.hardening import harden
from mailops.content.inlining import inline_styles
from mailops.content.limits import MAX_SOURCE
from mailops.content.mjml import Mistake, WrongSource, compile_mjml, find_mistakes
from mailops.content.models import MailTemplate, Syntax, TemplateVersion

MAX_PARTS = 50  # blocks in one mail
MAX_DEPTH = 4  # of blocks in blocks
RENDER = re.compile(r"\{%-?\s{0,20}render\s{1,20}(['\"])([^'\"]{1,100})\1\s{0,20}-?%\}")
CONTENT = re.compile(r"\{\{-?\s{0,20}content\s{0,20}-?\}\}")


class Uncomposable(Exception):
    """A mail that can't be put together; each mistake has the line of the mail's own source."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__(mistakes[0].sentence)
        self.mistakes = mistakes


@dataclass
class Composed:
    html: str  # compiled, Liquid left
    parts: list[list[int]] = field(default_factory=list)  # [template, number] of layout and blocks
    doubts: list[Mistake] = field(default_factory=list)


@dataclass
class _Page:
    """Source lines, and for each the line of the mail's own source that it comes from."""

    text: str = ""
    lines: list[int] = field(default_factory=lambda: [1])

    def add(self, text: str, line: int, *, counts: bool) -> None:
        """Append `text` that begins at `line`; its further lines count on, or belong to that line as well."""
        self.text += text
        for step in range(1, text.count("\n") + 1):
            self.lines.append(line + step if counts else line)

    def line_of(self, line: int) -> int:
        return self.lines[min(max(line, 1), len(self.lines)) - 1]


def without_blocks(source: str) -> str:
    """Return `source` with its blocks blanked, each line where it was, for a parser that knows no blocks."""
    return RENDER.sub(lambda match: "\n" * match[0].count("\n"), source)


def compose(
    html: str,
    *,
    syntax: str = Syntax.HTML,
    layout: MailTemplate | None = None,
    replaced: TemplateVersion | None = None,
) -> Composed:
    """Return what is rendered for a mail whose own source is `html`; raise Uncomposable.

    `replaced` stands for the newest version of its template: what a change of a layout or block would make of the mail.
    """
    uses: dict[int, int] = {}
    page = _Page()
    for text, line, is_own in _laid_out(html, layout, uses, replaced):
        page.add(text, line, counts=is_own)
    if len(page.text) > 2 * MAX_SOURCE:
        raise Uncomposable([Mistake("With its layout and blocks the mail is too long.", 1)])
    parts = [[template, number] for template, number in sorted(uses.items())]
    if not html.strip():
        return Composed("", parts)
    try:
        compiled = compile_mjml(page.text) if syntax == Syntax.MJML else inline_styles(page.text)
    except WrongSource as error:
        raise Uncomposable([_at_home(mistake, page) for mistake in error.mistakes]) from error
    except CompileFault as error:
        raise Uncomposable([Mistake(_sentence(error), 1)]) from error
    doubts = find_mistakes(page.text) if syntax == Syntax.MJML else []
    return Composed(harden(compiled), parts, [_at_home(doubt, page) for doubt in doubts])


def _at_home(mistake: Mistake, page: _Page) -> Mistake:
    return Mistake(mistake.sentence, page.line_of(mistake.line), mistake.is_error)


def _sentence(error: CompileFault) -> str:
    said = str(error)
    return said if said.endswith(".") else f"The compiler can't read it: {said[:200]}."


def _laid_out(
    html: str, layout: MailTemplate | None, uses: dict[int, int], replaced: TemplateVersion | None
) -> Iterator[tuple[str, int, bool]]:
    """Yield stretches of source, each with its line in the mail's own source, and whether they are its own."""
    if layout is None:
        yield from _expanded(html, uses, replaced)
        return
    version = _newest(layout, replaced)
    if version is None:
        raise Uncomposable([Mistake(f"The layout “{layout}” is not published yet.", 1)])
    uses[layout.pk] = version.number
    frame = version.source or version.html
    place = CONTENT.search(frame)
    if place is None:
        raise Uncomposable([Mistake(f"The layout “{layout}” has no {{{{ content }}}}.", 1)])
    for text, _, _ in _expanded(frame[: place.start()], uses, replaced):
        yield text, 1, False
    yield from _expanded(html, uses, replaced)
    last = html.count("\n") + 1
    for text, _, _ in _expanded(frame[place.end() :], uses, replaced):
        yield text, last, False


def _expanded(
    source: str, uses: dict[int, int], replaced: TemplateVersion | None, depth: int = 0
) -> Iterator[tuple[str, int, bool]]:
    at, line = 0, 1
    for match in RENDER.finditer(source):
        before = source[at : match.start()]
        yield before, line, depth == 0
        line += before.count("\n")
        for text, _, _ in _block(match[2], line, uses, replaced, depth):
            yield text, line, False
        line += match[0].count("\n")
        at = match.end()
    yield source[at:], line, depth == 0


def _block(
    name: str, line: int, uses: dict[int, int], replaced: TemplateVersion | None, depth: int
) -> Iterator[tuple[str, int, bool]]:
    block = MailTemplate.objects.filter(name=name, kind=MailTemplate.Kind.BLOCK).first()
    version = _newest(block, replaced) if block else None
    if block is None or version is None:
        what = "There is no block" if block is None else "Not published yet is the block"
        raise Uncomposable([Mistake(f"{what} “{name}”.", line)])
    if depth >= MAX_DEPTH or len(uses) >= MAX_PARTS:
        raise Uncomposable([Mistake(f"Blocks in blocks do not end at “{name}”.", line)])
    uses[block.pk] = version.number
    yield from _expanded(version.source or version.html, uses, replaced, depth + 1)


def _newest(template: MailTemplate, replaced: TemplateVersion | None) -> TemplateVersion | None:
    if replaced is not None and replaced.template_id == template.pk:
        return replaced
    return template.latest_version
