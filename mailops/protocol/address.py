"""Addresses (RFC 5321, 4.1.2; RFC 6531 for non-ASCII ones; RFC 5890 for A-labels) and the key they are matched by."""

import re
import unicodedata
from dataclasses import dataclass

import idna

MAX_LOCAL_PART = 64  # octets (RFC 5321, 4.5.3.1.1)
MAX_ADDRESS = 254  # octets (RFC 5321, 4.5.3.1.3, less the angle brackets)
MAX_DOMAIN = 253
BEYOND_ASCII = r"[^\x01-\x7f]"  # what only SMTPUTF8 carries; PostgreSQL reads the pattern alike
MAX_GIVEN = 320  # characters, as typed: with quoted pairs, letters outside ASCII, a dot at the end

_ATEXT = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The common case in one match: ASCII, lower case, a dot-atom before the @, a last label that is not a number.
_PLAIN = re.compile(
    rf"{_ATEXT}(?:\.{_ATEXT})*@(?:{_LABEL}\.)+(?=[^.]*[a-z])[a-z0-9-]*[a-z0-9]", re.ASCII
)
_DOT_ATOM = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*", re.ASCII | re.IGNORECASE)
_DOMAIN_LABEL = re.compile(_LABEL, re.ASCII)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ATOM_EXTRA = re.compile(r"[^\x00-\x7f]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# what shows nothing, or turns the letters around it
_INVISIBLE = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    r"\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_RESERVED = ("example.com", "example.net", "example.org", "example", "test", "invalid", "localhost")
_TYPED_SPACE = " \t\r\n\f\v\u00a0\u200b\ufeff"


class InvalidAddress(ValueError):
    """Says in one sentence why an address can't be written to; `code` is the short name to count it by."""

    def __init__(self, sentence: str, code: str = "invalid") -> None:
        super().__init__(sentence)
        self.sentence, self.code = sentence, code


class NeedsSmtputf8(InvalidAddress):
    """The address is well formed, but only a next hop with SMTPUTF8 (RFC 6531) can take it."""


@dataclass(frozen=True, slots=True)
class Address:
    """A well-formed address: its parts as given, the domain as A-labels in lower case."""

    local_part: str
    domain: str

    @property
    def addr_spec(self) -> str:
        return f"{self.local_part}@{self.domain}"

    @property
    def key(self) -> str:
        return f"{_fold(self.local_part)}@{self.domain}"


def is_reserved(domain: str) -> bool:
    """Tell whether a domain, in A-labels, is nobody's: kept for documents and tests (RFC 2606, RFC 6761)."""
    return f".{domain}".endswith(tuple(f".{name}" for name in _RESERVED))


def trimmed(address: str) -> str:
    """Return `address` without the blanks, some of them invisible, that came along when it was typed or pasted."""
    return address.strip(_TYPED_SPACE)


def address_key(address: str, *, allow_utf8: bool = False) -> str:
    """Return what `address` is matched by on contacts, messages and suppressions.

    The domain is in A-labels, and both parts are case-folded. Raise InvalidAddress where it can't be written to;
    NeedsSmtputf8 where the local part is not ASCII, unless `allow_utf8`.
    """
    given = trimmed(address)
    key = given.lower()
    if _PLAIN.fullmatch(key) and len(key) <= MAX_ADDRESS and given.isascii():
        local_part, _, domain = key.partition("@")
        if len(local_part) <= MAX_LOCAL_PART and len(domain) <= MAX_DOMAIN:
            return _with_whole_labels(key, domain)
    return parse_address(address, allow_utf8=allow_utf8).key


def parse_address(address: str, *, allow_utf8: bool = False) -> Address:
    """Return the parts of one bare address; raise InvalidAddress as `address_key` does."""
    given = trimmed(address)
    _refuse_what_no_address_holds(given)
    local_part, domain = _split(given)
    parsed = Address(_canonical_local_part(local_part), _canonical_domain(domain))
    if len(parsed.key.encode()) > MAX_ADDRESS or len(parsed.addr_spec.encode()) > MAX_ADDRESS:
        raise InvalidAddress(f"The address is longer than {MAX_ADDRESS} characters.", "too_long")
    if not allow_utf8 and not parsed.local_part.isascii():
        raise NeedsSmtputf8(
            "The part before the @ has letters outside ASCII, which only servers with SMTPUTF8 accept.",
            "needs_smtputf8",
        )
    return parsed


def domain_of(key: str) -> str:
    """Return the domain of an address key."""
    return key.rpartition("@")[2]


def needs_smtputf8(key: str) -> bool:
    """Tell whether only a next hop with SMTPUTF8 (RFC 6531) can take mail for an address key."""
    return re.search(BEYOND_ASCII, key) is not None


def domain_key(domain: str) -> str:
    """Return a domain name as A-labels in lower case, without its trailing dot; raise InvalidAddress."""
    return _canonical_domain(trimmed(domain))


def search_forms(text: str) -> set[str]:
    """Return how `text`, a part of an address as people see it, may stand in a key: as it is, with a domain in A-labels."""
    sought = trimmed(text).lower()
    local_part, at, domain = sought.rpartition("@")
    try:
        return {sought, f"{_fold(local_part)}{at}{_to_a_labels(domain)}"}
    except InvalidAddress:
        return {sought}


def _with_whole_labels(key: str, domain: str) -> str:
    # The plain pattern leaves the last label's length and hyphens to this look.
    last = domain.rpartition(".")[2]
    if len(last) > 63 or last.startswith("-"):
        raise InvalidAddress(f"“{last}” can't be part of a domain name.", "bad_domain")
    return key


def _refuse_what_no_address_holds(given: str) -> None:
    if not given:
        raise InvalidAddress("The address is empty.", "empty")
    if len(given) > MAX_GIVEN:
        raise InvalidAddress(f"The address is longer than {MAX_ADDRESS} characters.", "too_long")
    if _CONTROL.search(given):
        raise InvalidAddress("The address has a control character in it.", "control")
    if _INVISIBLE.search(given):
        raise InvalidAddress("The address has an invisible character in it.", "control")
    if any("\ud800" <= letter <= "\udfff" for letter in given):
        raise InvalidAddress("The address has a character that is not Unicode text.", "control")
    if "@" not in given:
        raise InvalidAddress("The address has no @.", "no_at")


def _split(given: str) -> tuple[str, str]:
    if given.startswith('"'):
        quoted = _QUOTED.match(given)
        if quoted is None or given[quoted.end() : quoted.end() + 1] != "@":
            raise InvalidAddress("The quotes before the @ are not closed.", "bad_local_part")
        return quoted.group(), given[quoted.end() + 1 :]
    local_part, _, domain = given.rpartition("@")
    if "<" in given or ">" in given:
        raise InvalidAddress("Give the bare address, without a name or angle brackets.", "not_bare")
    if "@" in local_part:
        raise InvalidAddress("The address has more than one @.", "many_at")
    if any(letter.isspace() for letter in given):
        raise InvalidAddress("The address has a space in it.", "space")
    return local_part, domain


def _canonical_local_part(local_part: str) -> str:
    if not local_part:
        raise InvalidAddress("Nothing stands before the @.", "bad_local_part")
    plain = _QUOTED_PAIR.sub(r"\1", local_part[1:-1]) if local_part[0] == '"' else local_part
    if not _is_dot_atom(plain):
        if local_part[0] != '"':
            raise InvalidAddress(_why_not_dot_atom(plain), "bad_local_part")
        plain = '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if len(_fold(plain).encode()) > MAX_LOCAL_PART or len(plain.encode()) > MAX_LOCAL_PART:
        raise InvalidAddress(
            f"The part before the @ is longer than {MAX_LOCAL_PART} characters.", "too_long"
        )
    return plain


def _is_dot_atom(text: str) -> bool:
    # RFC 6531, 3.3 adds every non-ASCII character to atext.
    return _DOT_ATOM.fullmatch(_ATOM_EXTRA.sub("x", text)) is not None


def _why_not_dot_atom(text: str) -> str:
    if text.startswith(".") or text.endswith(".") or ".." in text:
        return "The part before the @ has a dot too many."
    bad = next((letter for letter in text if letter in '"(),:;<>[]\\'), "")
    return f"The part before the @ has a character that needs quotes: {bad}"


def _canonical_domain(domain: str) -> str:
    domain = domain.removesuffix(".")
    if not domain:
        raise InvalidAddress("Nothing stands after the @.", "bad_domain")
    if domain.startswith("["):
        raise InvalidAddress(
            "The address names a server by number; give a domain name.", "bad_domain"
        )
    name = domain.lower() if domain.isascii() else _to_a_labels(domain)
    labels = name.split(".")
    if len(name) > MAX_DOMAIN:
        raise InvalidAddress(f"The domain is longer than {MAX_DOMAIN} characters.", "too_long")
    for label in labels:
        if not _DOMAIN_LABEL.fullmatch(label):
            raise InvalidAddress(_why_not_label(label), "bad_domain")
    if len(labels) == 1 and name != "localhost":
        raise InvalidAddress(f"The domain “{name}” has no ending such as .com.", "bad_domain")
    if labels[-1].isdigit():
        raise InvalidAddress(
            "The address names a server by number; give a domain name.", "bad_domain"
        )
    return name


def _why_not_label(label: str) -> str:
    if not label:
        return "The domain has a dot too many."
    if len(label) > 63:
        return "A part of the domain is longer than 63 characters."
    return f"“{label}” can't be part of a domain name."


def _to_a_labels(domain: str) -> str:
    if len(domain) > MAX_DOMAIN:
        raise InvalidAddress(f"The domain is longer than {MAX_DOMAIN} characters.", "too_long")
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise InvalidAddress(
            f"“{domain}” is not a domain name that can be registered.", "bad_domain"
        ) from None


def _fold(local_part: str) -> str:
    # Canonical caseless matching (Unicode 3.13, D145).
    if local_part.isascii():
        return local_part.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", local_part).casefold())
