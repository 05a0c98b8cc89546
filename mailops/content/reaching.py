"""Asks whether the pages that a mail links to are there, through the one door to other machines.

Nobody's own links are opened: what has a recipient's value in it, or sounds as if opening it did something, is left alone.
"""

import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urldefrag, urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser

from mailops.content.masking import LIQUID, mask
from mailops.lib.egress import EgressFault, is_trusted, port_of
from mailops.lib.fetching import fetch

MAX_LINKS = 200  # of one mail
AT_ONCE = 8
SECONDS = 5.0  # for each request
PATIENCE = 12.0  # for each link, however often it leads on
MAX_HOPS = 4
ENOUGH = 64 * 1024  # octets; whoever sends more is there
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TURNED_AWAY = frozenset({401, 403, 405, 406, 407, 429, 451, 999})
_MASKED = re.compile("[\ue000\ue005]")
_ACTS = re.compile(
    r"unsubscri|opt-?out|sign-?out|log-?out|confirm|verif|activat|one-?time|magic|reset|delete|cancel"
    r"|[?&/](?:token|sig|signature|otp|code|key|hash|auth)\b",
    re.IGNORECASE,
)
_IN_TEXT = re.compile(r"https?://[^\s<>\"'()\[\]{}]+")


@dataclass(frozen=True, slots=True)
class Link:
    address: str
    is_own: bool = False  # a recipient's, or one that may do something: never opened


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of asking for one address."""

    address: str
    status: int | None = None  # of the last answer
    leads_to: str = ""  # where redirects ended
    fault: str = ""  # why there was no answer

    @property
    def is_dead(self) -> bool:
        return not self.is_closed and (self.status is None or self.status >= 400)

    @property
    def is_closed(self) -> bool:
        """Something is there, and doesn't talk to machines: nothing is known of it."""
        return self.status in _TURNED_AWAY

    @property
    def sentence(self) -> str:
        if self.fault:
            return self.fault
        moved = f", after it leads to {self.leads_to[:120]}" if self.leads_to else ""
        if self.is_closed:
            return f"it answers {self.status} to machines{moved}"
        return f"it answers {self.status}{moved}"


def links_in(compiled: str, text: str = "") -> list[Link]:
    """Return the pages that a mail links to, each once: what its HTML, Liquid left, and its text name."""
    masked, _ = mask(compiled)
    hrefs = [
        (node.attributes.get("href") or "").strip()
        for node in LexborHTMLParser(masked).css("a[href], area[href]")
    ]
    hrefs += [match.rstrip(".,;:!?") for match in _IN_TEXT.findall(LIQUID.sub("\ue000", text))]
    pages = [_MASKED.sub("\ue000", href) for href in hrefs]
    links = [
        _link(page) for page in pages if page.lower().startswith(("https:", "http:", "\ue000"))
    ]
    return list(dict.fromkeys(links))[:MAX_LINKS]


def _link(page: str) -> Link:
    is_own = "\ue000" in page or bool(_ACTS.search(page))
    shown = re.sub("\ue000[0-9]*\ue001?", "{{…}}", page)
    return Link(shown, is_own=True) if is_own else Link(urldefrag(page).url)


def ask_all(addresses: Sequence[str]) -> Iterator[Reached]:
    """Ask for each address, several at once."""
    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="link") as pool:
        yield from pool.map(ask, addresses)


def ask(address: str) -> Reached:
    """Ask for one address, and on where it leads; each step is checked anew before anything connects."""
    at, status = address, None
    ends_at = time.monotonic() + PATIENCE
    try:
        for _ in range(MAX_HOPS):
            if time.monotonic() > ends_at:
                return Reached(address, fault="it leads on, slowly")
            status, on = _answer(at)
            if not on:
                break
            at = urljoin(at, on)
        else:
            return Reached(address, fault=f"it leads on more than {MAX_HOPS} times")
    except EgressFault as fault:
        return Reached(address, leads_to=at if at != address else "", fault=fault.detail)
    except ValueError:  # a redirect to something that is no address
        return Reached(address, fault="it leads to something that is no address")
    return Reached(address, status, at if at != address else "")


def _answer(address: str) -> tuple[int, str]:
    """Return the status of an address and where it leads on; what refuses to tell by HEAD is asked by GET."""
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"}:
        raise EgressFault("bad_url", f"it leads to an address that is no page: {address[:80]}")
    if is_trusted(
        parts.hostname or "", port_of(parts)
    ):  # a relay or filter of ours is no page of a mail
        raise EgressFault("not_allowed", f"{parts.hostname} leads to an address that is not public")
    status, on = _request(address, "HEAD")
    return _request(address, "GET") if status >= 400 and status not in {410, 429} else (status, on)


def _request(address: str, method: str) -> tuple[int, str]:
    try:
        answer = fetch(address, method=method, seconds=SECONDS, max_octets=ENOUGH)
    except EgressFault as fault:
        if fault.cause == "too_big":
            return 200, ""
        raise
    on = answer.headers.get("location", "") if answer.status in _REDIRECTS else ""
    return answer.status, on
