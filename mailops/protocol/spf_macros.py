"""Expands the macros of SPF records and explanations (RFC 7208 section 7)."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote

from mailops.protocol.spf_record import EXPANSION

MAX_NAME = 253  # characters of a domain name without its trailing dot
MAX_LABEL = 63
_SHORT = {"%%": "%", "%_": " ", "%-": "%20"}

Values = Mapping[str, Callable[[], str]]  # letter in lower case → its value, made when it is needed


def expand(text: str, values: Values) -> str:
    """Return `text`, whose syntax is sound, with every macro replaced."""
    return EXPANSION.sub(lambda found: _SHORT.get(found[0]) or _value(found, values), text)


def _value(found: re.Match[str], values: Values) -> str:
    letter, digits, reverse, delimiters = found[1], found[2], found[3], found[4] or "."
    parts = re.split(f"[{re.escape(delimiters)}]", values[letter.lower()]())
    if reverse:
        parts.reverse()
    if digits:
        parts = parts[-int(digits[:9]) :]
    value = ".".join(parts)
    return quote(value, safe="") if letter.isupper() else value


def target_name(spec: str, values: Values) -> str:
    """Return the name that a domain-spec stands for, shortened from the left to what DNS can ask (section 7.3)."""
    name = expand(spec, values).removesuffix(".")
    while len(name) > MAX_NAME and "." in name:
        name = name.partition(".")[2]
    return name


def is_askable(name: str) -> bool:
    """Tell whether `name` can be asked for: labels of 1 to 63 octets, 253 in all, ASCII (section 4.8; RFC 8616 section 4)."""
    labels = name.removesuffix(".").split(".")
    is_sized = all(0 < len(label) <= MAX_LABEL for label in labels)
    return is_sized and len(name.removesuffix(".")) <= MAX_NAME and name.isascii()
