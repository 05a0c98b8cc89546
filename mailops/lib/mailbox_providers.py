"""Names who runs a recipient's mailbox, by the MX of its domain."""

import logging
import time
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from threading import Lock, Thread

from publicsuffixlist import PublicSuffixList

from mailops.lib.dns_answers import Answer, Asks, Status

logger = logging.getLogger(__name__)

# the end of an MX host's name → the provider's word in counts and charts
PROVIDER_BY_EXCHANGE = {
    "google.com": "gmail",
    "googlemail.com": "gmail",
    "smtp.goog": "gmail",
    "outlook.com": "outlook",
    "hotmail.com": "outlook",
    "mx.microsoft": "outlook",
    "yahoodns.net": "yahoo",
    "icloud.com": "icloud",
    "apple.com": "icloud",
    "protonmail.ch": "protonmail",
    "zoho.com": "zoho",
    "zoho.eu": "zoho",
    "zoho.in": "zoho",
    "zohomail.com": "zoho",
    "messagingengine.com": "fastmail",
    "gmx.net": "gmx",
    "web.de": "gmx",
    "mail.ru": "mailru",
    "yandex.net": "yandex",
    "yandex.ru": "yandex",
    "qq.com": "qq",
    "163.com": "netease",
    "comcast.net": "comcast",
    "t-online.de": "t-online",
    "orange.fr": "orange",
    "laposte.net": "laposte",
    "seznam.cz": "seznam",
    "pphosted.com": "proofpoint",
    "ppe-hosted.com": "proofpoint",
    "mimecast.com": "mimecast",
    "barracudanetworks.com": "barracuda",
    "secureserver.net": "godaddy",
    "ovh.net": "ovh",
    "mailgun.org": "mailgun",
    "amazonaws.com": "amazon",
}
# domains whose mailboxes everybody knows: who runs them is known before DNS was asked, or where it doesn't answer
PROVIDER_BY_DOMAIN = {
    "gmail.com": "gmail",
    "googlemail.com": "gmail",
    "outlook.com": "outlook",
    "hotmail.com": "outlook",
    "live.com": "outlook",
    "msn.com": "outlook",
    "yahoo.com": "yahoo",
    "ymail.com": "yahoo",
    "aol.com": "yahoo",
    "icloud.com": "icloud",
    "me.com": "icloud",
    "mac.com": "icloud",
    "gmx.de": "gmx",
    "gmx.net": "gmx",
    "web.de": "gmx",
    "proton.me": "protonmail",
    "protonmail.com": "protonmail",
    "mail.ru": "mailru",
    "yandex.ru": "yandex",
    "qq.com": "qq",
    "163.com": "netease",
    "comcast.net": "comcast",
    "t-online.de": "t-online",
    "orange.fr": "orange",
    "laposte.net": "laposte",
    "seznam.cz": "seznam",
}
# the words above as people write them; whoever isn't here is called by its domain
NAMES = {
    "amazon": "Amazon SES",
    "barracuda": "Barracuda",
    "comcast": "Comcast",
    "fastmail": "Fastmail",
    "gmail": "Gmail",
    "gmx": "GMX and WEB.DE",
    "godaddy": "GoDaddy",
    "icloud": "iCloud",
    "laposte": "La Poste",
    "mailgun": "Mailgun",
    "mailru": "Mail.ru",
    "mimecast": "Mimecast",
    "netease": "NetEase",
    "orange": "Orange",
    "outlook": "Outlook",
    "ovh": "OVH",
    "proofpoint": "Proofpoint",
    "protonmail": "Proton Mail",
    "qq": "QQ Mail",
    "seznam": "Seznam",
    "t-online": "T-Online",
    "yahoo": "Yahoo",
    "yandex": "Yandex",
    "zoho": "Zoho",
}
KNOWN_SECONDS = 6 * 3600  # an MX changes rarely, and a day's counts may straddle a change
UNKNOWN_SECONDS = 60  # DNS didn't answer: ask again soon
CACHED_DOMAINS = 100_000
QUIET_AFTER = 5  # silences in a row, so that a dead resolver doesn't cost every domain its time-out
QUIET_SECONDS = 30
ASKERS = 16
BEHIND = 2  # threads that ask for what was wanted at once
WANTED = 1_000  # domains that wait for them; what else is wanted is asked for another time


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def registrable_domain(name: str) -> str:
    """Return the part of `name` that somebody registered: `mx.a.co.uk` gives `a.co.uk`."""
    clean = name.rstrip(".").lower()
    return _suffixes().privatesuffix(clean) or clean


def name_of(provider: str) -> str:
    """Return a provider's word as people write its name."""
    return NAMES.get(provider, provider) or "not known"


def provider_of(domain: str, answer: Answer) -> str:
    """Name the provider that `answer`, the MX of `domain`, points to; the domain itself without one."""
    if not answer.is_found:
        return domain
    _, exchange = min(_preference(value) for value in answer.values)
    labels = exchange.split(".")
    for start in range(len(labels)):
        if provider := PROVIDER_BY_EXCHANGE.get(".".join(labels[start:])):
            return provider
    return registrable_domain(exchange) or domain  # empty: a null MX


def _key(domain: str) -> str:
    return domain.rstrip(".").lower()[:100]


def _preference(value: str) -> tuple[int, str]:
    preference, _, exchange = value.partition(" ")
    return int(preference), exchange.rstrip(".").lower()


class ProviderCache:
    """Remembers the providers of recipient domains; safe between threads."""

    def __init__(self, asks: Asks, *, size: int = CACHED_DOMAINS) -> None:
        self._asks = asks
        self._size = size
        self._lock = Lock()
        self._known: OrderedDict[str, tuple[float, str]] = OrderedDict()  # (good until, provider)
        self._silences = 0
        self._quiet_until = 0.0
        self._wanted: dict[str, None] = {}
        self._behind = 0

    def provider(self, domain: str) -> str:
        """Return the provider of `domain`, asking DNS where it isn't remembered."""
        key = _key(domain)
        provider, is_good = self._recall(key)
        return provider if is_good else self._remember(key, self._asks(key, "MX"), provider)

    def provider_at_hand(self, domain: str) -> str:
        """Return the provider of `domain` as far as it is known, at once; what isn't is asked for, for the next time."""
        key = _key(domain)
        provider, is_good = self._recall(key)
        if not is_good:
            self._ask_behind(key)
        return provider

    def _ask_behind(self, key: str) -> None:
        with self._lock:
            if len(self._wanted) < WANTED:
                self._wanted[key] = None
            if self._behind >= BEHIND:
                return
            self._behind += 1
        Thread(target=self._ask_for_wanted, name="mailbox-providers", daemon=True).start()

    def _ask_for_wanted(self) -> None:
        while (key := self._next_wanted()) is not None:
            try:
                self.provider(key)
            except Exception:
                logger.exception("the provider of %s could not be asked for", key)

    def _next_wanted(self) -> str | None:
        with self._lock:
            if not self._wanted:
                self._behind -= 1
                return None
            key = next(iter(self._wanted))
            del self._wanted[key]
            return key

    def providers(self, domains: Iterable[str], *, within: float | None = None) -> dict[str, str]:
        """Return the provider of each of `domains`, asking for many at a time.

        After `within` seconds in all, those that didn't answer go by what was known of them before, else by their
        own name. Whom they belong to is remembered when an answer on its way comes in later.
        """
        keys = {domain: _key(domain) for domain in domains}
        recalled = {key: self._recall(key) for key in keys.values()}
        named = {key: provider for key, (provider, _) in recalled.items()}
        unknown = [key for key, (_, is_good) in recalled.items() if not is_good]
        if unknown:
            named |= self._ask_many(unknown, within)
        return {domain: named[key] for domain, key in keys.items()}

    def _ask_many(self, keys: list[str], within: float | None) -> dict[str, str]:
        pool = ThreadPoolExecutor(max_workers=min(ASKERS, len(keys)))
        try:
            asked = {pool.submit(self.provider, key): key for key in keys}
            return {asked[future]: future.result() for future in wait(asked, within).done}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _recall(self, key: str) -> tuple[str, bool]:
        """Return what is known of a domain, and whether that is good enough not to ask."""
        now = time.monotonic()
        with self._lock:
            good_until, provider = self._known.get(key, (0.0, PROVIDER_BY_DOMAIN.get(key, key)))
            return provider, now < good_until or now < self._quiet_until

    def _remember(self, key: str, answer: Answer, before: str) -> str:
        now = time.monotonic()
        is_silent = answer.status is Status.TIMEOUT
        provider = provider_of(key, answer) if answer.is_known else before
        with self._lock:
            self._silences = self._silences + 1 if is_silent else 0
            if self._silences >= QUIET_AFTER:
                self._quiet_until, self._silences = now + QUIET_SECONDS, 0
            seconds = KNOWN_SECONDS if answer.is_known else UNKNOWN_SECONDS
            self._known[key] = (now + seconds, provider[:100])
            self._known.move_to_end(key)
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return provider[:100]
