"""Asks Amazon SNS, over https and only it, for certificates and confirmations."""

import time

from mailops.feedback.sns import is_sns_address
from mailops.lib.egress import EgressFault
from mailops.lib.fetching import fetch

MAX_BODY = 64_000
TIMEOUT = 5.0
CERTIFICATE_SECONDS = 24 * 3600.0

_certificates: dict[str, tuple[float, bytes]] = {}


class FetchFailed(Exception):
    """Amazon could not be asked; the text says why."""


def certificate_at(url: str) -> bytes:
    """Return the PEM at `url`, remembered for a day; raise FetchFailed."""
    until, pem = _certificates.get(url, (0.0, b""))
    if time.monotonic() > until:
        pem = get(url)
        if len(_certificates) > 50:
            _certificates.clear()
        _certificates[url] = (time.monotonic() + CERTIFICATE_SECONDS, pem)
    return pem


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
