"""Asks Amazon SNS, over https and only it, for certificates and confirmations."""

import http.client
import ssl
import time
from urllib.parse import urlsplit

from mailops.feedback.sns import is_sns_address
from mailops.lib import egress

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
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        connection = http.client.HTTPSConnection(host, timeout=TIMEOUT)
        plain, _ = egress.connect(egress.resolve(host, 443), timeout=TIMEOUT)
        plain.settimeout(TIMEOUT)
        connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        response = connection.getresponse()
        body = response.read(MAX_BODY)
        connection.close()
    except (OSError, http.client.HTTPException, egress.EgressFault) as error:
        raise FetchFailed(str(error)) from error
    if response.status != 200:
        raise FetchFailed(f"{host} answered {response.status}")
    return body
