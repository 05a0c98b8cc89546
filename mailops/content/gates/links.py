"""Whether the links of a mail are addresses, safe ones, and the ones their words promise."""

import ipaddress
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import SplitResult, unquote, urlsplit

from mailops.content.gates.finding import Problem, found
from mailops.content.gates.page import Element, Page
from mailops.content.rendering import Rendered
from mailops.lib.mailbox_providers import registrable_domain
from mailops.protocol.address import InvalidAddress, parse_address

_SCHEMES = frozenset({"https", "http", "mailto", "tel", "sms"})
_SCRIPTS = ("javascript:", "data:", "vbscript:")
_UNSEEN = re.compile(r"[\x00-\x20]")  # a browser takes them out of a scheme (WHATWG URL, 4.4)
_SHORTENERS = frozenset(
    {"bit.ly", "goo.gl", "is.gd", "ow.ly", "rebrand.ly", "t.co", "tiny.cc", "tinyurl.com"}
)
_HOST_IN_WORDS = re.compile(r"^(?:https?://)?((?:[\w-]+\.)+[a-z]{2,})(?:[/?#].*)?$", re.IGNORECASE)
_LATIN = re.compile(r"(?!xn--)[a-z-]+")
# Cyrillic and Greek letters that look like Latin ones, alone and with digits
_POSES = re.compile(
    "(?=.*[^\\x00-\\x7f])["
    "\u0430\u0430\u0432\u0435\u04bb\u0456\u0458\u043a\u04cf\u043c\u043d\u043e\u0440\u051b\u0441"
    "\u0455\u0442\u0501\u0443\u0475\u051d\u0445\u03bf\u03b1\u03bd\u03b9\u03ba\u03c1\u03c4\u03c5\u03c7"
    "0-9-]+"
)
_HOST = re.compile(r"^(?:[\w-]{1,63}\.)+[\w-]{2,63}$")


def find(page: Page) -> Iterator[Problem]:
    for link in page.tagged("a", "area"):
        if "href" in link.attributes:
            yield from _link(page, link)


def addresses_of(page: Page) -> list[str]:
    """Return the pages that the mail links to, each once."""
    hrefs = (link.get("href").strip() for link in page.tagged("a", "area"))
    return list(dict.fromkeys(href for href in hrefs if href.startswith(("https:", "http:"))))


def addresses_in(rendered: Rendered) -> list[str]:
    """Return the pages that a rendered mail links to, each once."""
    return addresses_of(Page(rendered=rendered, source="", compiled="", names={}))


def _link(page: Page, link: Element) -> Iterator[Problem]:
    href = link.get("href").strip()
    line = page.line_of(f'"{href}"', f"'{href}'", href[:60] if len(href) > 8 else "")
    said = href[:60] or "(nothing)"
    try:
        parts = urlsplit(href)
        port_is_sound = parts.port is None or parts.port > 0
    except ValueError:
        port_is_sound = False
        parts = SplitResult("", "", "", "", "")
    if href.startswith("#") and len(href) > 1:
        return
    if not port_is_sound or parts.scheme.lower() not in _SCHEMES:
        is_script = _UNSEEN.sub("", href).lower().startswith(_SCRIPTS)
        yield found("links.bad", f"“{said}” is no address.", line=line, is_error=is_script)
    elif parts.scheme == "mailto":
        yield from _mailto(parts, said, line)
    elif parts.scheme in {"http", "https"}:
        yield from _web(parts, link, said, line)


def _mailto(parts: SplitResult, said: str, line: int | None) -> Iterator[Problem]:
    for address in filter(None, unquote(parts.path).split(",")):
        try:
            parse_address(address)
        except InvalidAddress:
            yield found("links.bad", f"“{said}” names no mail address.", line=line)


def _web(parts: SplitResult, link: Element, said: str, line: int | None) -> Iterator[Problem]:
    host = (parts.hostname or "").lower()
    if any(letter.isspace() for letter in said) or not (_HOST.match(host) or _is_ip(host)):
        if host != "localhost" and not host.endswith(".localhost"):
            yield found("links.bad", f"“{said}” is no whole address.", line=line)
        return
    if parts.scheme == "http" and not host.endswith(".localhost"):
        yield found("links.http", f"“{said}” is not https.", line=line)
    if parts.username or "@" in parts.netloc:
        sentence = f"“{said}” hides its host behind a user name."
        yield found("links.lookalike", sentence, line=line, is_error=True)
    if _mixes_alphabets(host):
        sentence = f"{host} mixes alphabets, as a forged name does."
        yield found("links.lookalike", sentence, line=line, is_error=True)
    elif _poses(host):
        sentence = f"{host} is all letters that look like Latin ones, as a forged name may be."
        yield found("links.lookalike", sentence, line=line)
    if _is_ip(host) or host in _SHORTENERS:
        yield found("links.host", f"{host} says nothing of who is behind it.", line=line)
    shown = _HOST_IN_WORDS.match(link.words)
    if shown and registrable_domain(shown[1]) != registrable_domain(host):
        sentence = f"The words say {shown[1]}, the link leads to {host}."
        yield found("links.lookalike", sentence, line=line)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _mixes_alphabets(host: str) -> bool:
    """Tell whether a label mixes Latin with Cyrillic or Greek."""
    for label in host.split("."):
        scripts = {
            unicodedata.name(letter, "").split(" ")[0]
            for letter in _decoded(label)
            if letter.isalpha()
        }
        if len(scripts & {"LATIN", "CYRILLIC", "GREEK"}) > 1:
            return True
    return False


def _poses(host: str) -> bool:
    """Tell whether a label below a Latin ending, such as .com, is all letters that read as Latin ones."""
    *labels, ending = host.split(".")
    return bool(_LATIN.fullmatch(ending)) and any(
        _POSES.fullmatch(_decoded(label)) for label in labels
    )


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
