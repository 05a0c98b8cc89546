"""Says where HTML leaves something open, in one pass: patterns that look for an end take quadratic time without one."""

import re
from collections.abc import Iterator

MAX_TAG = 100_000  # characters of one element's tag; a picture in its address may be long
MAX_BROKEN = 100  # tags that another one begins in
_OPENING = re.compile(
    r"<!--|<!\[CDATA\[|<(style|script|title|textarea|mj-style|mj-title)\b|</?[a-z]", re.IGNORECASE
)
# The inside of a tag, without going back. No possessive group: before Python 3.11.5 one that fails eats what it tried.
INSIDE = r"(?>[^<>\"']*(?:(?:\"[^\"]*\"|'[^']*')[^<>\"']*)*)"
_TAG = re.compile(INSIDE)


def left_open(html: str) -> tuple[str, int] | None:
    """Return what is opened and not closed, and where; None where all of it ends."""
    at = broken = 0
    while opening := _OPENING.search(html, at):
        start = opening.start()
        if opening[0].startswith("<!"):
            end = html.find("-->" if opening[0] == "<!--" else "]]>", opening.end())
            if end < 0:
                return opening[0], start
            at = end + 3
            continue
        inside = _TAG.match(html, opening.end())
        at = inside.end() if inside else opening.end()
        if at - start > MAX_TAG or at >= len(html) or html[at] in "\"'":
            return html[start : start + 20].split(maxsplit=1)[0], start
        if html[at] == "<":
            broken += 1
            if broken > MAX_BROKEN:
                return html[start : start + 20].split(maxsplit=1)[0], start
        elif opening[1] and html[at - 1] != "/":
            closing = re.compile(rf"</{opening[1]}\s*>", re.IGNORECASE).search(html, at)
            if closing is None:
                return opening[0], start
            at = closing.start()
    return None


def count_unclosed(masked: str) -> int:
    """Return about how many elements are left open: parsing these takes quadratic time."""
    return masked.count("<") - 2 * masked.count("</") - 2 * masked.count("<!--")


def stretches(
    html: str, opening: re.Pattern[str], closing: re.Pattern[str]
) -> Iterator[tuple[re.Match[str], re.Match[str]]]:
    """Yield each opening with the closing after it; where there is none, there is none for any later one either."""
    at = 0
    while begins := opening.search(html, at):
        ends = closing.search(html, begins.end())
        if ends is None:
            return
        yield begins, ends
        at = ends.end()
