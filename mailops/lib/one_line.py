"""Words from outside, on one line or on several, in which nothing can pose as another line, or as other words."""

import re
import unicodedata

_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}  # controls, halves of characters, line ends
# what turns the order of letters around, and so may show another address than it is
_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
_TURNING_MARKS = "\u061c\u200e\u200f"
_BLANKS = "\u2800\u3164\uffa0"  # that are no spaces by their category: of Braille and of Hangul

_JOINERS = "\u200c\u200d"
_VARIANTS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_TAGS = "\U000e0020-\U000e007f"
# what takes no room: Unicode's Default_Ignorable_Code_Point, and the marks of annotations
_WIDTHLESS = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f\ufe00-\ufe0f\ufeff"
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_VARIANT, _TAG = re.compile(f"[{_VARIANTS}]"), re.compile(f"[{_TAGS}]")
_BLACK_FLAG = "\U0001f3f4"  # tags behind it make it the flag of a region
_VIRAMA = 9  # the class of the signs that bind two letters of India
# letters without case, their marks, pictures: what of them belongs together, a joiner says
_JOINED = {"Lo", "Lm", "Mn", "Mc", "So", "Sm", "Sk"}
_CASED = {"Lu", "Ll", "Lt"}


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
    spaced = "".join(" " if _is_unseen(letter) else letter for letter in text)
    return _without_widthless(spaced) if _WIDTHLESS.search(spaced) else spaced


def _is_unseen(letter: str) -> bool:
    if letter in _TURNING_MARKS or letter in _BLANKS or unicodedata.category(letter) in _UNSEEN:
        return True
    return unicodedata.bidirectional(letter) in _TURNING


def _without_widthless(text: str) -> str:
    """Return `text` without what takes no room, but for what makes another letter or picture of its neighbors."""
    kept: list[str] = []
    for place, letter in enumerate(text):
        before, after = kept[-1] if kept else "", text[place + 1 : place + 2]
        if not _WIDTHLESS.match(letter) or _shapes(letter, before, after):
            kept.append(letter)
    return "".join(kept)


def _shapes(letter: str, before: str, after: str) -> bool:
    """Tell whether a `letter` that takes no room changes how its neighbors look: in Persian, Hindi, Mongolian, emoji."""
    if not before or before.isspace():
        return False
    if letter in _JOINERS:
        return unicodedata.combining(before) == _VIRAMA or (
            _is_joined(before) and _is_joined(after)
        )
    if _TAG.match(letter):
        return before == _BLACK_FLAG or bool(_TAG.match(before))
    is_variant = bool(_VARIANT.match(letter)) and not _WIDTHLESS.match(before)
    return is_variant and unicodedata.category(before) not in _CASED


def _is_joined(letter: str) -> bool:
    return bool(letter) and unicodedata.category(letter) in _JOINED
