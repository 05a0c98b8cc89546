"""Brings a text into the one form in which signs are looked for: lower case, plain letters, single spaces."""

import re
import unicodedata
from collections.abc import Iterable

_ADDRESSES_AND_LINKS = re.compile(
    r"<[^<>\s]{0,320}>|[^\s<>\"'(]{1,64}@[^\s<>\"'):;,]{1,255}|https?://\S{1,500}"
)
_SPACES = re.compile(r"\s+")
_LINE_CODE = re.compile(
    r"(?:^|\n)[ \t]{0,8}(?:[245]\d\d[ -])?[ \t]{0,8}(?:[245]\.\d{1,3}\.\d{1,3})\s"
)
# What a relay writes around the reply it got: its own “host” and “error” are no signs.
_AROUND = re.compile(
    r"\b(?:remote )?host (?:\S{1,255} )?(?:\[[^\]\s]{1,60}\] ?)?(?:said|says):? ?|\(in reply to [^()\n]{1,60}\)"
    r"|smtp error from remote (?:mail ?server|mailer|server|mail server) after [^:\n]{1,60}:(?: (?:host \S{1,255} \[[^\]\s]{1,60}\]:)?)?"
    r"|remote server returned(?: an error)?(?: ->|:)|the (?:error|response) (?:that the other server returned|from the remote server) was:"
)
_ACCENTS = re.compile("[\u0300-\u036f]")
_STROKES = str.maketrans({"đ": "d", "ł": "l", "ø": "o", "ı": "i", "æ": "ae", "œ": "oe", "’": "'"})


def fold_letters(text: str) -> str:
    """Return `text` in lower case, its Latin and Cyrillic letters without accents."""
    if text.isascii():
        return text.lower()
    text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFC", text.translate(_STROKES))


def fold_reply(text: str) -> str:
    """Return the words of a reply, without its codes, addresses and links: `spam@…` is no sign of spam."""
    text = _LINE_CODE.sub(" ", fold_letters(text))
    text = _SPACES.sub(" ", _ADDRESSES_AND_LINKS.sub("", text))
    return (_AROUND.sub(" ", text) if "said" in text or "remote" in text else text).strip()


def any_of(phrases: Iterable[str], *, gap: str, begins_word: bool = False) -> str:
    """Return a pattern of any of `phrases`, a blank in them being `gap` and `$` at the end the end of a word.

    They are grouped by their first letter, which makes the search several times as quick. With `begins_word`, phrases in
    Latin, Greek or Cyrillic letters are found only where a word begins.
    """
    groups: dict[str, list[str]] = {}
    for phrase in phrases:
        folded = fold_letters(phrase.strip())
        if folded:
            rest = re.escape(folded[1:].removesuffix("$")).replace(r"\ ", gap)
            groups.setdefault(folded[0], []).append(rest + (r"\b" if folded[-1] == "$" else ""))
    return "|".join(
        f"{re.escape(letter)}{_begins(letter) if begins_word else ''}(?:{'|'.join(rests)})"
        for letter, rests in groups.items()
    )


def _begins(letter: str) -> str:
    """Return what tells, after `letter` was read, that no letter stands before it."""
    return rf"(?<![^\W\d_]{letter})" if letter.isalpha() and letter < "\u0530" else ""
