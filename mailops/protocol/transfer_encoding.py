"""Puts a text body into its transfer encoding (RFC 2045, 6), choosing as Python's email package does and many times as fast.

`email.contentmanager` looks at each octet; here a template's lines, which come again in each message, are encoded once.
"""

import re
from binascii import b2a_base64
from email import quoprimime
from functools import lru_cache

MAX_LINE = 78  # octets, without CRLF, that a line should have at most (RFC 5322, 2.1.1)
HARD_LIMIT = 998  # and that it must not exceed
SNIFFED_LINES = 10  # the first lines choose between quoted-printable and base64
CACHED_LINES = 8192
CACHED_LENGTH = 400  # longer lines are not kept: too many of them are one recipient's own

_UNSAFE = re.compile(rb"[^ -~\t]+")  # what quoted-printable writes as =XX, beside the "="


def plain_encoding(text: str, *, takes_8bit: bool) -> str | None:
    """Return "7bit" or "8bit" where `text` may travel as it is (RFC 2045, 2.7 and 2.8), None where it must be encoded."""
    plain = _plain(text, takes_8bit=takes_8bit, errors="surrogateescape")
    return plain and plain[0].decode()


def _plain(text: str, *, takes_8bit: bool, errors: str = "strict") -> tuple[bytes, bytes] | None:
    """Return the name of the encoding and the octets, with LF line ends, where `text` may travel as it is."""
    is_ascii = text.isascii()
    if "\0" in text or not (takes_8bit or is_ascii):
        return None
    octets = _with_line_feeds(text).encode(errors=errors)
    if _has_long_line(octets):
        return None
    return b"7bit" if is_ascii else b"8bit", octets


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _has_long_line(octets: bytes) -> bool:
    """Tell whether a line exceeds the hard limit; reads only the ends of as few lines as show it."""
    start, last = 0, len(octets) - HARD_LIMIT
    while start < last:
        end = octets.rfind(b"\n", start, start + HARD_LIMIT + 1)
        if end < 0:
            return True
        start = end + 1
    return False


def encode_body(text: str, *, takes_8bit: bool = False) -> tuple[bytes, bytes]:
    """Return the name of the transfer encoding, and `text` in it with CRLF line ends; it is UTF-8 where not ASCII."""
    if plain := _plain(text, takes_8bit=takes_8bit):
        encoding, body = plain
        if not body.endswith(b"\n"):
            body += b"\n"
        return encoding, body.replace(b"\n", b"\r\n")
    text = _with_line_feeds(text)
    if not text.endswith("\n"):
        text += "\n"
    lines = text.split("\n")
    longest = max(map(len, lines))
    if longest <= MAX_LINE and text.isascii():
        return b"7bit", text.encode().replace(b"\n", b"\r\n")
    quote = _quoted if longest <= CACHED_LENGTH else _quoted_any
    sniffed = lines[: min(SNIFFED_LINES, len(lines) - 1)]
    quoted = list(map(quote, sniffed))
    head = "\r\n".join(quoted)
    quoted_size = len(head) - head.count("\r") + 1  # the library counts these line ends as one
    octets = len("\r\n".join(sniffed).encode()) + 2
    if quoted_size > (octets + 2) // 3 * 4 + 1:
        return b"base64", encode_octets(text.replace("\n", "\r\n").encode())
    quoted += map(quote, lines[len(quoted) :])
    return b"quoted-printable", "\r\n".join(quoted).encode()


def encode_octets(octets: bytes) -> bytes:
    """Return `octets` as base64, in lines with CRLF ends."""
    encoded = b2a_base64(octets, newline=False)
    width = MAX_LINE // 4 * 4
    return b"".join([encoded[at : at + width] + b"\r\n" for at in range(0, len(encoded), width)])


def _quoted_any(line: str) -> str:
    return _quoted(line) if len(line) <= CACHED_LENGTH else _quoted_once(line)


@lru_cache(maxsize=CACHED_LINES)
def _quoted(line: str) -> str:
    return _quoted_once(line)


def _quoted_once(line: str) -> str:
    if line.endswith((" ", "\t")):  # rare, and intricate at the end of a full line
        return quoprimime.body_encode(line.encode().decode("latin-1"), MAX_LINE, "\r\n")
    quoted = line.replace("=", "=3D")
    if not (line.isascii() and line.isprintable()):
        quoted = _UNSAFE.sub(_as_hex, quoted.encode()).decode()
    if len(quoted) <= MAX_LINE:
        return quoted
    pieces, at = [], 0
    while len(quoted) - at > MAX_LINE:
        end = at + MAX_LINE - 1  # leaves room for the "="
        escape = quoted.rfind("=", end - 2, end)  # =XX stays in one piece
        end = escape if escape >= 0 else end
        pieces.append(quoted[at:end])
        at = end
    return "=\r\n".join([*pieces, quoted[at:]])


def _as_hex(unsafe: re.Match[bytes]) -> bytes:
    return b"=" + unsafe[0].hex("=").upper().encode()
