"""Words from outside, on one line or on several, in which nothing can pose as another line, or as other words."""

import unicodedata

_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}  # controls, halves of characters, line ends
# what turns the order of letters around, and so may show another address than it is
_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
_TURNING_MARKS = "\u061c\u200e\u200f"


def one_line(text: object, most: int) -> str:
    """Return `text` as one line without what can't be seen, cut with an ellipsis at `most` characters."""
    line = unbroken(str(text))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def unbroken(text: str) -> str:
    """Return `text`, however long, as one line without what can't be seen."""
    return " ".join(_as_seen(text).split())


def line_by_line(text: str) -> str:
    """Return `text` with its line ends, tabs as spaces, and without what can't be seen."""
    return "\n".join(_as_seen(line).rstrip() for line in text.splitlines())


def _as_seen(text: str) -> str:
    return "".join(" " if _is_unseen(letter) else letter for letter in text)


def _is_unseen(letter: str) -> bool:
    if letter in _TURNING_MARKS or unicodedata.category(letter) in _UNSEEN:
        return True
    return unicodedata.bidirectional(letter) in _TURNING
