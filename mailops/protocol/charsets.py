"""Decodes text whose charset is declared, declared wrongly, or not at all."""

import codecs
import re
from email.errors import HeaderParseError
from email.header import decode_header

# Codecs that are no charsets of mail, some of them slow by design.
_NO_CHARSETS = frozenset(
    [
        "punycode",
        "idna",
        "unicode-escape",
        "raw-unicode-escape",
        "undefined",
        "mbcs",
        "oem",
        "base64",
        "bz2",
        "hex",
        "quopri",
        "rot13",
        "rot-13",
        "uu",
        "zlib",
    ]
)
# Who declares the smaller set often writes the bigger one.
_WIDER = {
    "ascii": "utf-8",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "ksc5601": "cp949",
    "iso2022_jp": "iso2022_jp_ext",
}
MAX_DECODED = 3_000  # characters; what begins like many words costs the square of it

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_ESCAPES_OF_JIS = re.compile(rb"\x1b\$[@B]")


def decode(content: bytes, charset: str = "") -> str:
    """Return the text of `content`, by its declared charset where that holds; never raises."""
    for name in (_codec(charset), "utf-8"):
        if name and not (name == "utf-8" and _ESCAPES_OF_JIS.search(content[:20_000])):
            try:
                return clean(content.decode(name))
            except (UnicodeError, ValueError):
                continue
    if _ESCAPES_OF_JIS.search(content[:20_000]):
        return clean(content.decode("iso2022_jp_ext", "replace"))
    return clean(content.decode(_codec(charset) or "cp1252", "replace"))


def decode_words(value: str) -> str:
    """Return a header's value with its encoded words decoded (RFC 2047), the rest as it is."""
    if "=?" not in value or len(value) > MAX_DECODED:
        return value
    try:
        parts = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    return "".join(
        text if isinstance(text, str) else _word(text, charset) for text, charset in parts
    )


def _word(octets: bytes, charset: str | None) -> str:
    """Return the text of a part of a header; what was no encoded word, the library has made octets by a codec of Python's."""
    if charset is not None:
        return decode(octets, charset)
    try:
        return clean(octets.decode("raw-unicode-escape"))
    except UnicodeDecodeError:  # a backslash of the sender's own
        return decode(octets)


def _codec(charset: str) -> str:
    try:
        name = codecs.lookup(charset.strip().strip("\"'")).name if charset else ""
    except (LookupError, ValueError):
        return ""
    return "" if name in _NO_CHARSETS else _WIDER.get(name, name)


def clean(text: str) -> str:
    """Return `text` without what no text has: NULs, and the half characters that some charsets and JSON can write."""
    return _NO_TEXT.sub("\ufffd", text)
