"""Brings a text into the one form in which signs are looked for: lower case, plain letters, single spaces."""

import re
import unicodedata

_ADDRESSES_AND_LINKS = re.compile(
    r"<[^<>\s]{0,320}>|[^\s<>\"'(]{1,64}@[^\s<>\"'):;,]{1,255}|https?://\S{1,500}"
)
_SPACES = re.compile(r"\s+")
_LINE_CODE = re.compile(r"(?:^|\n)\s*(?:[245]\d\d[ -])?\s*(?:[245]\.\d{1,3}\.\d{1,3})\s+")
_ACCENTS = re.compile("[\u0300-\u036f]")


def fold_letters(text: str) -> str:
    """Return `text` in lower case, its Latin and Cyrillic letters without accents."""
    if text.isascii():
        return text.lower()
    text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFC", text.replace("\u2019", "'"))


def fold_reply(text: str) -> str:
    """Return the words of a reply, without its codes, addresses and links: `spam@…` is no sign of spam."""
    text = _LINE_CODE.sub(" ", fold_letters(text))
    return _SPACES.sub(" ", _ADDRESSES_AND_LINKS.sub("", text)).strip()
