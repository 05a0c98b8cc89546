"""HTTP to addresses that people type in: pinned and checked by egress, bounded in time and size, never redirected."""

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, urlsplit

from mailops.lib import egress
from mailops.lib.dns_answers import Asks
from mailops.lib.egress import EgressFault

_AGENT = "mailops"
_PORTS = {"https": 443, "http": 80}
_CERTIFICATE_FAULTS = {  # X509_V_ERR numbers
    10: "its certificate has expired",
    18: "its certificate is signed by nobody but itself",
    62: "its certificate is for another name",
    64: "its certificate is for another name",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


def fetch(
    url: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = 10.0,
    max_octets: int = 256 * 1024,
    asks: Asks | None = None,
) -> Fetched:
    """Return the answer to one request, whatever its status; raise EgressFault.

    Private and other special ranges are refused but for MAILOPS_TRUSTED_RELAYS. A redirect is an answer like any other
    and not followed. That nothing answered is all that is said of a host, or what is wrong with its certificate: which
    of its ports are open is not told.
    """
    parts, port = _split(url)
    host = parts.hostname or ""
    endpoint = egress.resolve(host, port, asks=asks)
    try:
        connection, _ = egress.connect(endpoint, timeout=seconds)
    except EgressFault as fault:
        raise EgressFault("unreachable", f"{host} could not be reached") from fault
    deadline = None
    try:
        if parts.scheme == "https":
            connection = _wrapped(connection, host)
        with Deadline(connection, seconds) as deadline:
            if isinstance(connection, ssl.SSLSocket):
                connection.do_handshake()
            answer = _ask(connection, parts, (method, body, headers or {}), max_octets)
    except ssl.SSLCertVerificationError as error:
        why = _CERTIFICATE_FAULTS.get(
            error.verify_code, "its certificate is by an authority that is not trusted"
        )
        raise EgressFault("tls", f"{host} can't be trusted, since {why}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        if deadline and deadline.is_over:
            raise _late(host) from error
        raise EgressFault("unreachable", f"{host} gave no answer that could be read") from error
    finally:
        connection.close()
    if deadline.is_over:  # what came until it was cut may look whole
        raise _late(host)
    return answer


def _late(host: str) -> EgressFault:
    return EgressFault("timeout", f"{host} gave no whole answer in time")


class Deadline:
    """Cuts a connection when its time is up, however slowly the answer drips."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self.is_over = False
        self._connection = connection
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self.is_over = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


def _split(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise EgressFault("bad_url", "that is not a URL") from error
    if not parts.hostname or not port or parts.username or parts.password:
        raise EgressFault("bad_url", "give an http or https URL without a user name")
    return parts, port


def _wrapped(connection: socket.socket, host: str) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)


def _ask(
    connection: socket.socket,
    parts: SplitResult,
    request: tuple[str, bytes | None, Mapping[str, str]],
    max_octets: int,
) -> Fetched:
    method, body, headers = request
    client = http.client.HTTPConnection(parts.netloc)
    client.sock = connection
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    client.request(method, target, body=body, headers={"User-Agent": _AGENT, **headers})
    with client.getresponse() as response:
        content = response.read(max_octets + 1)
        if len(content) > max_octets:
            raise EgressFault("too_big", f"the answer is longer than {max_octets} octets")
        named = {name.lower(): value for name, value in response.getheaders()}
        return Fetched(response.status, named, content)
