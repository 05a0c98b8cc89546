"""The words of an HTML part, line by line, for reading what a server says; not for showing."""

import html
import re

MAX_HTML = 200_000

_HIDDEN = (("<!--", "-->"), ("<style", "</style"), ("<script", "</script"), ("<head", "</head"))
_BREAK = re.compile(
    r"<(?:br|/?p|/?div|/?tr|/?table|/?li|/?ul|/?ol|/?h[1-6]|hr|/?pre|/?blockquote|/?dd|/?dt)\b[^<>]{0,2000}>",
    re.IGNORECASE,
)
_CELL = re.compile(r"</t[dh]\s*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z!][^<>@]{0,2000}>|<[a-zA-Z][^<>]{0,2000}>")
_SPACES = re.compile(r"[ \t\xa0]+")
_ENDLESS = re.compile(r"&#[0-9]{1000,};?")  # int() refuses thousands of digits


def to_text(source: str) -> str:
    """Return the text of `source`, a line for each block."""
    text = source[:MAX_HTML]
    for begin, end in _HIDDEN:
        text = _cut_out(text, begin, end)
    text = _SPACES.sub(" ", text.replace("\r", "").replace("\n", " "))
    text = _CELL.sub(" ", _BREAK.sub("\n", text))
    text = unescape(_tags_out(text))
    return "\n".join(line.strip() for line in text.replace("\xa0", " ").split("\n"))


def unescape(text: str) -> str:
    """Return `text` with characters for its references (HTML, 13.2.5.80), of however many digits."""
    return html.unescape(_ENDLESS.sub("\ufffd", text))


def _cut_out(text: str, begin: str, end: str) -> str:
    lower, kept, at = text.lower(), [], 0
    if len(lower) != len(text):  # a letter that grows: positions would not agree
        return text
    while (start := lower.find(begin, at)) >= 0 and (stop := lower.find(end, start)) >= 0:
        kept.append(text[at:start])
        at = stop + len(end)
    return "".join([*kept, text[at:]])


def _tags_out(text: str) -> str:
    # An address in brackets that was not escaped is kept: it may be all that names the recipient.
    return _TAG.sub(lambda found: found[0] if _is_address(found[0]) else "", text)


def _is_address(tag: str) -> bool:
    inner = tag[1:-1]
    return "@" in inner and " " not in inner and "=" not in inner
