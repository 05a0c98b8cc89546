"""Asks Amazon SNS, over https and only it, for certificates and confirmations."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

from mailops.feedback.sns import is_sns_address
from mailops.lib.egress import EgressFault
from mailops.lib.fetching import fetch

MAX_BODY = 64_000
TIMEOUT = 5.0
CERTIFICATE_SECONDS = 24 * 3600.0  # for which one is remembered
FAILURE_SECONDS = 60.0  # for which it is remembered that there was none
MOST_AT_ONCE = 3  # of addresses never asked before; Amazon signs with one certificate a region


@dataclass(frozen=True)
class _Known:
    until: float
    pem: bytes = b""
    why: str = ""  # there is none


_certificates: dict[str, _Known] = {}
_asking = Lock()


class FetchFailed(Exception):
    """Amazon could not be asked; the text says why."""


def fetch_certificates(urls: Iterable[str]) -> None:
    """Ask Amazon for those certificates that aren't known, unless another thread is at it.

    Call it before a transaction, since it may take seconds.
    """
    now = time.monotonic()
    unknown = [url for url in dict.fromkeys(urls) if not _is_known(url, now)][:MOST_AT_ONCE]
    if not unknown or not _asking.acquire(blocking=False):
        return
    try:
        for url in unknown:
            if len(_certificates) > 50:
                _certificates.clear()
            _certificates[url] = _fetched(url)
    finally:
        _asking.release()


def certificate_at(url: str) -> bytes:
    """Return the PEM at `url` as it was fetched; raise FetchFailed where it was not."""
    if not _is_known(url, time.monotonic()):
        raise FetchFailed("it was not asked for yet")
    known = _certificates[url]
    if known.why:
        raise FetchFailed(known.why)
    return known.pem


def _is_known(url: str, now: float) -> bool:
    return url in _certificates and now < _certificates[url].until


def _fetched(url: str) -> _Known:
    try:
        return _Known(time.monotonic() + CERTIFICATE_SECONDS, get(url))
    except FetchFailed as failed:
        return _Known(time.monotonic() + FAILURE_SECONDS, why=str(failed))


def get(url: str) -> bytes:
    """Return what stands at an address of SNS; redirects are not followed; raise FetchFailed."""
    if not is_sns_address(url):
        raise FetchFailed("the address is not one of Amazon SNS")
    try:
        answer = fetch(url, seconds=TIMEOUT, max_octets=MAX_BODY)
    except EgressFault as fault:
        raise FetchFailed(fault.detail) from fault
    if answer.status != 200:
        raise FetchFailed(f"it answered {answer.status}")
    return answer.body
