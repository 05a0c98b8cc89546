"""Hides Liquid tags from what reads HTML, since a parser moves what it doesn't know out of tables, and puts them back."""

import re

LIQUID = re.compile(
    r"\{%-?\s*(raw|doc|comment)\b.*?\{%-?\s*end\1\s*-?%\}|\{\{.*?\}\}|\{%.*?%\}", re.DOTALL
)
OUTPUT, BLOCK, END = "\ue000", "\ue005", "\ue001"  # begin the mask of {{ … }}, of {% … %}; end both
MASKED = re.compile(f"[{OUTPUT}{BLOCK}](\\d+){END}")
_PRIVATE = re.compile("[\ue000-\ue006]")
_TEXTUAL = ("style", "mj-style", "title", "mj-title", "mj-preview", "script", "textarea")
_MARKS = re.compile(rf"<!--|-->|</?(?:{'|'.join(_TEXTUAL)})\b|<[A-Za-z/]|[>\"']", re.IGNORECASE)
_COMMENTED = re.compile(f"<!--([{OUTPUT}{BLOCK}]\\d+{END})-->")


def mask(html: str) -> tuple[str, list[str]]:
    """Replace each Liquid tag: by a comment between elements, by a token inside of one; return the tags, too."""
    parts: list[str] = []
    tags: list[str] = []
    html = _PRIVATE.sub("", html)
    at, state = 0, ""
    for match in LIQUID.finditer(html):
        literal = html[at : match.start()]
        state = _state_after(literal, state)
        token = f"{OUTPUT if match[0][1] == '{' else BLOCK}{len(tags)}{END}"
        parts += [literal, f"<!--{token}-->" if state == "" else token]
        tags.append(match[0])
        at = match.end()
    return "".join([*parts, html[at:]]), tags


def unmask(masked: str, tags: list[str]) -> str:
    """Put the tags back where their masks stand now."""
    return MASKED.sub(lambda match: tags[int(match[1])], _COMMENTED.sub(r"\1", masked))


def _state_after(literal: str, state: str) -> str:
    """Return where in HTML `literal` ends.

    "" is between elements, "<" inside a tag, "<style" inside that of an element of plain text, "style" in that text,
    "<!--" in a comment; a quote is added inside of an attribute's value.
    """
    for mark in _MARKS.findall(literal):
        if state == "":
            state = _opened(mark)
        elif state == "<!--":
            state = "" if mark == "-->" else state
        elif state[-1] in "\"'":
            state = state[:-1] if mark == state[-1] else state
        elif state[0] == "<":
            if mark in {">", "-->"}:
                state = state[1:]
            elif mark in {'"', "'"}:
                state += mark
        elif mark.lower() == f"</{state}":  # the end of an element of plain text
            state = "<"
    return state


def _opened(mark: str) -> str:
    if mark == "<!--":
        return mark
    if mark[0] != "<":
        return ""
    return mark.lower() if mark[1:].lower() in _TEXTUAL else "<"
