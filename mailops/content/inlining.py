"""Writes the rules of a mail's <style> elements into the elements they speak of, and changes nothing else.

css-inline says which declarations each element gets; they are put into the source as it was written, so that Liquid
tags, conditional comments and everything else stay where they are, octet for octet. A rule inside @media must still
win over what stands in an element now, so its declarations become !important.
"""

import re
from functools import lru_cache

from mailops.content.child import CompileFault, ask_child
from mailops.content.closing import count_unclosed, left_open, stretches
from mailops.content.masking import mask, unmask

MAX_UNCLOSED = 4_000  # elements
_NAME = "data-mailops-n"
_SKIPPED = r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<(style|script|title|textarea)\b.*?</\1\s*>"
_START = re.compile(
    rf"{_SKIPPED}|<([a-zA-Z][\w:-]*)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>", re.DOTALL | re.IGNORECASE
)
_STYLE_ATTRIBUTE = re.compile(
    r"(?<![\w-])style\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]+)", re.IGNORECASE
)
_STYLE_OPENS = re.compile(r"<style\b[^<>]*>", re.IGNORECASE)
_STYLE_CLOSES = re.compile(r"</style\s*>", re.IGNORECASE)
_NUMBERED = re.compile(rf"<[a-zA-Z](?:[^<>\"']|\"[^\"]*\"|'[^']*')*?\s{_NAME}=\"(\d+)\"[^<>]*>")
_SEPARATOR = re.compile(r"(?<!\s)\s*+([:;,])\s*+")
_DECLARED = re.compile(r":(?!\s*+//)((?>(?:[^;{}\"'()]|\"[^\"]*\"|'[^']*'|\([^()]*\))*))(;?)")
_BRACE = re.compile(r"[{}]")
_UNSTYLED = frozenset({"html", "head", "meta", "link", "base", "title", "style", "script"})


def inline_styles(html: str, *, css: str = "", only_given: bool = False) -> str:
    """Return `html` with its styles inlined, and with those of `css`; raise CompileFault where it can't be done."""
    if not css and (only_given or "<style" not in html.lower()):
        return html
    masked, tags = mask(html)
    if count_unclosed(masked) > MAX_UNCLOSED:
        raise CompileFault("More elements are left open than any mail has.")
    if opened := left_open(masked):
        raise CompileFault(f"“{opened[0]}” is opened and not closed.")
    numbered = _numbered(masked)
    inlined = ask_child("inline given" if only_given else "inline", numbered, css=css)
    styled = _styled(masked, _styles(inlined))
    if not only_given:
        styled = _with_media(styled)
    if sorted(tags) != sorted(_tags_in(styled, tags)):
        raise CompileFault("The styles could not be inlined around the Liquid tags.")
    return unmask(styled, tags)


def _tags_in(masked: str, tags: list[str]) -> list[str]:
    return mask(unmask(masked, tags))[1]


def _is_element(match: re.Match[str]) -> bool:
    return match[2] is not None and match[2].lower() not in _UNSTYLED


def _numbered(masked: str) -> str:
    """Give each element an attribute that names it."""
    numbers = iter(range(len(masked)))

    def number(match: re.Match[str]) -> str:
        if not _is_element(match):
            return match[0]
        return f'<{match[2]} {_NAME}="{next(numbers)}"{match[0][1 + len(match[2]) :]}'

    return _START.sub(number, masked)


def _styles(inlined: str) -> dict[int, str]:
    """Return the style attribute's quoted value of each numbered element that has one."""
    found = {}
    for match in _NUMBERED.finditer(inlined):
        if style := _STYLE_ATTRIBUTE.search(match[0]):
            found[int(match[1])] = style[1]
    return found


def _styled(masked: str, styles: dict[int, str]) -> str:
    numbers = iter(range(len(masked)))

    def style(match: re.Match[str]) -> str:
        if not _is_element(match):
            return match[0]
        value = styles.get(next(numbers))
        written = _STYLE_ATTRIBUTE.search(match[0])
        if value is None or (written and _same(written[1], value)):
            return match[0]
        if written:
            return f"{match[0][: written.start(1)]}{value}{match[0][written.end(1) :]}"
        end = match.end(2) - match.start()
        return f"{match[0][:end]} style={value}{match[0][end:]}"

    return _START.sub(style, masked)


def _same(written: str, inlined: str) -> bool:
    return _bare(written) == _bare(inlined)


@lru_cache(maxsize=1024)
def _bare(style: str) -> str:
    return _SEPARATOR.sub(r"\1", style.strip("\"'").strip()).rstrip(";").lower()


def _with_media(html: str) -> str:
    parts, at = [], 0
    for opening, closing in stretches(html, _STYLE_OPENS, _STYLE_CLOSES):
        css = html[opening.end() : closing.start()]
        parts += [html[at : opening.end()], _media_wins(css), closing[0]]
        at = closing.end()
    return "".join([*parts, html[at:]])


def _media_wins(css: str) -> str:
    """Make what stands inside @media important: inlined declarations would win over it."""
    parts: list[str] = []
    at = 0
    for media in re.finditer(r"@media\b[^{}@]*\{", css):
        if media.start() < at:
            continue
        end = closing_brace(css, media.end())
        if end < 0:
            break
        block = css[media.end() : end]
        parts += [
            css[at : media.end()],
            re.sub(r"\{[^{}]*\}", lambda rules: _important(rules[0]), block),
        ]
        at = end
    return "".join([*parts, css[at:]])


def _important(rules: str) -> str:
    spaced = re.sub(r"(?<![;{\s])(\s*)\}$", r";\1}", rules)
    return _DECLARED.sub(_importantly, spaced)


def _importantly(declared: re.Match[str]) -> str:
    if not declared[2]:
        return declared[0]
    value, _, mark = declared[1].rpartition("!")
    if mark.strip().lower() != "important":
        value = declared[1]
    return f":{value.rstrip()} !important;"


def closing_brace(css: str, at: int) -> int:
    """Return where the block ends that begins at `at`; -1 where it doesn't."""
    depth = 1
    for brace in _BRACE.finditer(css, at):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.start()
    return -1
