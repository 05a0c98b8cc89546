"""Puts a mail together from its own source, its layout and its blocks, and compiles that to the HTML that is rendered."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from mailops.content.child import CompileFault
from mailops.content.closing import left_open
from mailops.content.files import File, Reference, merged, of_part, resolve
from mailops.content.hardening import Unguarded, harden
from mailops.content.inlining import inline_styles
from mailops.content.limits import MAX_SOURCE
from mailops.content.lines import line_at
from mailops.content.masking import MASKED, mask
from mailops.content.mjml import Mistake, WrongSource, compile_mjml, find_mistakes
from mailops.content.models import MailTemplate, Syntax, TemplateVersion

MAX_PARTS = 50  # different blocks in one mail
MAX_USES = 1_000  # of blocks in one mail, the same one counted each time
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
    # its own, with Content-IDs for the names of files: what was compiled says the same
    source: str = ""
    doubts: list[Mistake] = field(default_factory=list)
    files: list[File] = field(default_factory=list)  # its own, and those of layout and blocks
    shown: set[str] = field(default_factory=set)  # its own files that its source shows
    missing: list[Reference] = field(default_factory=list)  # what it shows and doesn't have


@dataclass
class _Parts:
    """The layout and the blocks met so far, and the files they bring."""

    replaced: TemplateVersion | None
    uses: dict[int, int] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    blocks: dict[str, str] = field(default_factory=dict)  # name → its source, read once
    times: int = 0  # that a block was put in

    def source_of(self, version: TemplateVersion) -> str:
        self.uses[version.template_id] = version.number
        files = of_part(version)
        self.files += files
        return resolve(version.source or version.html, files).html

    def newest(self, template: MailTemplate) -> TemplateVersion | None:
        if self.replaced is not None and self.replaced.template_id == template.pk:
            return self.replaced
        return template.latest_version


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
    files: Sequence[File] = (),
) -> Composed:
    """Return what is rendered for a mail whose own source is `html` and which has `files`; raise Uncomposable.

    `replaced` stands for the newest version of its template: what a change of a layout or block would make of the mail.
    """
    own = resolve(html, files)
    met = _Parts(replaced)
    page = _Page()
    for text, line, is_own in _laid_out(own.html, layout, met):
        page.add(text, line, counts=is_own)
        if len(page.text) > 2 * MAX_SOURCE:
            raise Uncomposable([Mistake("With its layout and blocks the mail is too long.", 1)])
    parts = [[template, number] for template, number in sorted(met.uses.items())]
    composed = Composed("", parts, own.html, files=merged([*files, *met.files]))
    composed.shown, composed.missing = own.used, own.missing
    if not html.strip():
        return composed
    if opened := open_in(page.text):
        raise Uncomposable([_at_home(opened, page)])
    try:
        compiled = compile_mjml(page.text) if syntax == Syntax.MJML else inline_styles(page.text)
    except WrongSource as error:
        raise Uncomposable([_at_home(mistake, page) for mistake in error.mistakes]) from error
    except CompileFault as error:
        raise Uncomposable([Mistake(_sentence(error), 1)]) from error
    doubts = find_mistakes(page.text) if syntax == Syntax.MJML else []
    try:
        composed.html = harden(compiled)
    except Unguarded as error:
        line = line_at(page.text, max(page.text.find(error.written), 0))
        raise Uncomposable([_at_home(Mistake(error.sentence, line), page)]) from error
    composed.doubts = [_at_home(doubt, page) for doubt in doubts]
    return composed


def open_in(source: str) -> Mistake | None:
    """Return the mistake of what is opened in `source` and not closed; None where all of it ends."""
    masked, tags = mask(source)
    opened = left_open(masked)
    if opened is None:
        return None
    what, at = opened
    before = masked[:at]
    inside = sum(tag.count("\n") for tag in tags[: len(MASKED.findall(before))])
    line = before.count("\n") + inside + 1
    return Mistake(f"“{what}” is opened here and not closed.", line)


def _at_home(mistake: Mistake, page: _Page) -> Mistake:
    return replace(mistake, line=page.line_of(mistake.line))


def _sentence(error: CompileFault) -> str:
    said = str(error)
    return said if said.endswith(".") else f"The compiler can't read it: {said[:200]}."


def _laid_out(
    html: str, layout: MailTemplate | None, met: _Parts
) -> Iterator[tuple[str, int, bool]]:
    """Yield stretches of source, each with its line in the mail's own source, and whether they are its own."""
    if layout is None:
        yield from _expanded(html, met)
        return
    version = met.newest(layout)
    if version is None:
        raise Uncomposable([Mistake(f"The layout “{layout}” is not published yet.", 1)])
    frame = met.source_of(version)
    place = CONTENT.search(frame)
    if place is None:
        raise Uncomposable([Mistake(f"The layout “{layout}” has no {{{{ content }}}}.", 1)])
    for text, _, _ in _expanded(frame[: place.start()], met):
        yield text, 1, False
    yield from _expanded(html, met)
    last = html.count("\n") + 1
    for text, _, _ in _expanded(frame[place.end() :], met):
        yield text, last, False


def _expanded(source: str, met: _Parts, depth: int = 0) -> Iterator[tuple[str, int, bool]]:
    at, line = 0, 1
    for match in RENDER.finditer(source):
        before = source[at : match.start()]
        yield before, line, depth == 0
        line += before.count("\n")
        for text, _, _ in _block(match[2], line, met, depth):
            yield text, line, False
        line += match[0].count("\n")
        at = match.end()
    yield source[at:], line, depth == 0


def _block(name: str, line: int, met: _Parts, depth: int) -> Iterator[tuple[str, int, bool]]:
    met.times += 1
    if met.times > MAX_USES:
        sentence = f"Blocks stand in it more than {MAX_USES:,} times."
        raise Uncomposable([Mistake(sentence, line)])
    if name not in met.blocks:
        met.blocks[name] = _source_of_block(name, line, met)
    if depth >= MAX_DEPTH:
        raise Uncomposable([_endless(name, line)])
    yield from _expanded(met.blocks[name], met, depth + 1)


def _source_of_block(name: str, line: int, met: _Parts) -> str:
    block = MailTemplate.objects.filter(name=name, kind=MailTemplate.Kind.BLOCK).first()
    version = met.newest(block) if block else None
    if block is None or version is None:
        what = "There is no block" if block is None else "Not published yet is the block"
        raise Uncomposable([Mistake(f"{what} “{name}”.", line)])
    if len(met.uses) >= MAX_PARTS:
        raise Uncomposable([_endless(name, line)])
    return met.source_of(version)


def _endless(name: str, line: int) -> Mistake:
    return Mistake(f"Blocks in blocks do not end at “{name}”.", line)
