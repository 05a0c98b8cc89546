"""Reads an SPF record by the grammar of RFC 7208 section 12, to the letter."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from mailops.protocol.address import MAX_DOMAIN, domain_key, trimmed

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MECHANISMS = frozenset({"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"})
ASKING = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})  # section 4.6.4

# an expansion; the letter, the digits, the reversal and the delimiters of its long form are groups 1 to 4
EXPANSION = re.compile(
    r"%(?:[%_-]|\{([slodiphvcrt])([0-9]*)(r?)([.\-+,/_=]*)\})", re.IGNORECASE | re.ASCII
)
_EXPAND = r"%(?:[%_-]|\{[slodiphvcrt][0-9]*r?[.\-+,/_=]*\})"
_MACRO_STRING = rf"(?:{_EXPAND}|[\x21-\x24\x26-\x7e])*"
_TOP_LABEL = r"(?=[a-z0-9-]*[a-z-])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"  # not all digits
_DOMAIN_SPEC = rf"{_MACRO_STRING}(?:\.{_TOP_LABEL}\.?|{_EXPAND})"
_DUAL_PREFIX = r"(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?"

_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
_MECHANISM = re.compile(
    r"([+\-~?]?)([a-z][a-z0-9_.-]*)((?:[:/].*)?)", re.IGNORECASE | re.ASCII | re.DOTALL
)
_IS_MACRO_STRING = re.compile(_MACRO_STRING, re.IGNORECASE | re.ASCII)
_IS_DOMAIN_SPEC = re.compile(_DOMAIN_SPEC, re.IGNORECASE | re.ASCII)
_INCLUDED_LABEL = rf"(?:[a-z0-9_-]|{_EXPAND}){{1,63}}"
_IS_INCLUDED = re.compile(rf"{_INCLUDED_LABEL}(?:\.{_INCLUDED_LABEL})+", re.IGNORECASE | re.ASCII)
_IS_EXPLANATION = re.compile(rf"(?:{_EXPAND}|[\x20-\x24\x26-\x7e])*", re.IGNORECASE | re.ASCII)
_HOST = re.compile(rf"(?::({_DOMAIN_SPEC}))?{_DUAL_PREFIX}", re.IGNORECASE | re.ASCII)
_QNUM = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IP4 = re.compile(rf":({_QNUM}(?:\.{_QNUM}){{3}})(?:/(0|[1-9][0-9]?))?", re.ASCII)
_IP6 = re.compile(r":([0-9a-f:.]+)(?:/(0|[1-9][0-9]{0,2}))?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class SpfTerm:
    text: str
    qualifier: str  # one of + - ~ ?
    name: str
    domain_spec: str = ""  # as written, macros and all; empty: the record's own domain
    network: Network | None = None  # of ip4 and ip6
    prefixes: tuple[int, int] = (32, 128)  # of a and mx, for IPv4 and IPv6
    is_modifier: bool = False

    @property
    def asks_dns(self) -> bool:
        return self.name in ASKING

    @property
    def has_macro(self) -> bool:
        return "%" in self.domain_spec

    @property
    def domain(self) -> str:
        """The domain it names; empty: the record's own."""
        return self.domain_spec.rstrip(".").lower()


@dataclass(frozen=True)
class Spf:
    text: str
    terms: tuple[SpfTerm, ...]
    problems: tuple[str, ...]  # syntax errors: a receiver answers permerror

    @property
    def all_qualifier(self) -> str:
        """The qualifier of `all`; empty when there is none."""
        return next((term.qualifier for term in self.terms if term.name == "all"), "")

    @property
    def redirect(self) -> SpfTerm | None:
        """The redirect, which counts only without an `all`, wherever that stands (section 6.1)."""
        return None if self.all_qualifier else self._modifier("redirect")

    @property
    def explanation(self) -> SpfTerm | None:
        return self._modifier("exp")

    @property
    def mechanisms(self) -> tuple[SpfTerm, ...]:
        """Those that are evaluated: nothing behind `all` is (section 5.1)."""
        found = [term for term in self.terms if not term.is_modifier]
        end = next((n for n, term in enumerate(found, 1) if term.name == "all"), len(found))
        return tuple(found[:end])

    def _modifier(self, name: str) -> SpfTerm | None:
        return next((term for term in self.terms if term.is_modifier and term.name == name), None)


class _Wrong(ValueError):
    """Says what is wrong with a term."""


def is_spf(text: str) -> bool:
    """Tell whether a TXT record is an SPF record: its version ends with a space or the record (section 4.5)."""
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


def is_explanation(text: str) -> bool:
    """Tell whether `text` is an explain-string (section 6.2)."""
    return _IS_EXPLANATION.fullmatch(text) is not None and not _zero_digits(text)


def parse_spf(text: str) -> Spf:
    """Read an SPF record; what can't be read is in `problems`."""
    terms: list[SpfTerm] = []
    problems: list[str] = []
    for word in filter(None, text.split(" ")[1:]):  # nothing but a space parts terms
        try:
            terms.append(_term(word))
        except _Wrong as wrong:
            problems.append(str(wrong))
    problems += [
        f"{name} stands more than once"
        for name in ("redirect", "exp")
        if sum(term.is_modifier and term.name == name for term in terms) > 1
    ]
    return Spf(text, tuple(terms), tuple(problems))


def included_domain(text: str) -> str:
    """Return the domain that an include names, as `SpfTerm.domain` does, with or without “include:” before it.

    It is a name of DNS, not of a host: underscores may stand in it (RFC 8552), and macros. Raise ValueError.
    """
    name = trimmed(text).lower().removeprefix("include:").removesuffix(".")
    name = name if name.isascii() else domain_key(name)
    is_name = _IS_INCLUDED.fullmatch(name) is not None and len(name) <= MAX_DOMAIN
    if not is_name or parse_spf(f"v=spf1 include:{name}").problems:
        raise ValueError("Give the domain of the include, such as _spf.provider.com.")
    return name


def _term(word: str) -> SpfTerm:
    if not all("\x21" <= letter <= "\x7e" for letter in word):
        raise _Wrong(f"“{word}” holds characters that are not visible ASCII")
    if modifier := _MODIFIER.fullmatch(word):
        return _modifier(word, modifier[1].lower(), modifier[2])
    match = _MECHANISM.fullmatch(word)
    if match is None:
        raise _Wrong(f"“{word}” is not an SPF term")
    name = match[2].lower()
    if name not in MECHANISMS:
        raise _Wrong(f"“{word}” is not an SPF mechanism")
    return _READERS[name](word, match[1] or "+", name, match[3])


def _modifier(word: str, name: str, value: str) -> SpfTerm:
    if name in {"redirect", "exp"}:
        return SpfTerm(word, "+", name, _domain_spec(word, value), is_modifier=True)
    if not _IS_MACRO_STRING.fullmatch(value) or _zero_digits(value):
        raise _Wrong(f"“{word}” holds a macro that can't be read")
    return SpfTerm(word, "+", name, is_modifier=True)


def _domain_spec(word: str, spec: str) -> str:
    if not spec:
        raise _Wrong(f"“{word}” names no domain")
    if not _IS_DOMAIN_SPEC.fullmatch(spec):
        what = "a macro that can't be read" if "%" in spec else "what is not a domain name"
        raise _Wrong(f"“{word}” names {what}")
    return _checked_macros(word, spec)


def _checked_macros(word: str, spec: str) -> str:
    for expansion in EXPANSION.finditer(spec):
        if expansion[1] and expansion[1].lower() in "crt":
            raise _Wrong(f"“{word}” has a macro that is for explanations only")
    if _zero_digits(spec):
        raise _Wrong(f"“{word}” has a macro that keeps no part of its value")
    return spec


def _zero_digits(text: str) -> bool:
    return any(found[2] and int(found[2][:9]) == 0 for found in EXPANSION.finditer(text))


def _read_all(word: str, qualifier: str, name: str, rest: str) -> SpfTerm:
    if rest:
        raise _Wrong(f"“{word}”: “all” takes nothing behind it")
    return SpfTerm(word, qualifier, name)


def _read_domain(word: str, qualifier: str, name: str, rest: str) -> SpfTerm:
    return SpfTerm(word, qualifier, name, _domain_spec(word, rest[1:] if rest[:1] == ":" else ""))


def _read_ptr(word: str, qualifier: str, name: str, rest: str) -> SpfTerm:
    return (_read_domain if rest else _read_all)(word, qualifier, name, rest)


def _read_host(word: str, qualifier: str, name: str, rest: str) -> SpfTerm:
    match = _HOST.fullmatch(rest)
    if match is None:
        raise _Wrong(f"“{word}” names what is neither a domain name nor a prefix length")
    prefixes = int(match[2] or 32), int(match[3] or 128)
    if prefixes[0] > 32 or prefixes[1] > 128:
        raise _Wrong(f"“{word}” has a prefix that is too long")
    spec = _checked_macros(word, match[1] or "")
    return SpfTerm(word, qualifier, name, spec, prefixes=prefixes)


def _read_network(word: str, qualifier: str, name: str, rest: str) -> SpfTerm:
    match = (_IP4 if name == "ip4" else _IP6).fullmatch(rest)
    if match is not None:
        kind = ipaddress.IPv4Network if name == "ip4" else ipaddress.IPv6Network
        try:
            network = kind(match[1] + (f"/{match[2]}" if match[2] else ""), strict=False)
        except ValueError:
            pass
        else:
            return SpfTerm(word, qualifier, name, network=network)
    raise _Wrong(f"“{word}” is not an {name} address or network")


_READERS: dict[str, Callable[[str, str, str, str], SpfTerm]] = {
    "all": _read_all,
    "include": _read_domain,
    "exists": _read_domain,
    "ptr": _read_ptr,
    "a": _read_host,
    "mx": _read_host,
    "ip4": _read_network,
    "ip6": _read_network,
}
