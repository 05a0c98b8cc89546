"""HTTP to addresses that people type in: pinned and checked by egress, bounded in time and size, never redirected."""

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from mailops.lib import egress
from mailops.lib.dns_answers import Asks
from mailops.lib.egress import EgressFault
from mailops.lib.timed_socket import TimedSocket
from mailops.lib.tls import client_context, flaw_of

_AGENT = "mailops"
_FLAWS = {
    "tls_expired": "its certificate has expired",
    "tls_self_signed": "its certificate is signed by nobody but itself",
    "tls_name": "its certificate is for another name",
    "tls_issuer": "its certificate is by an authority that is not trusted",
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
    max_octets: int | None = 256 * 1024,
    asks: Asks | None = None,
) -> Fetched:
    """Return the answer to one request, whatever its status; raise EgressFault. No `max_octets`: its body is left unread.

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
    try:
        if parts.scheme == "https":
            connection = client_context().wrap_socket(
                connection, server_hostname=host, do_handshake_on_connect=False
            )
        timed = TimedSocket(connection, seconds)
        timed.do_handshake()
        return _ask(timed, url, (method, body, headers or {}), max_octets)
    except ssl.SSLCertVerificationError as error:
        why = _FLAWS[flaw_of(error)]
        raise EgressFault("tls", f"{host} can't be trusted, since {why}") from error
    except TimeoutError as error:
        raise EgressFault("timeout", f"{host} gave no whole answer in time") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise EgressFault("unreachable", f"{host} gave no answer that could be read") from error
    finally:
        connection.close()


def _split(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = egress.port_of(parts)
    except ValueError as error:
        raise EgressFault("bad_url", "that is not a URL") from error
    if not parts.hostname or not port or parts.username or parts.password:
        raise EgressFault("bad_url", "give an http or https URL without a user name")
    return parts, port


def _ask(
    connection: TimedSocket,
    url: str,
    request: tuple[str, bytes | None, Mapping[str, str]],
    max_octets: int | None,
) -> Fetched:
    method, body, headers = request
    client = http.client.HTTPConnection(urlsplit(url).netloc)
    client.sock = connection
    client.request(method, target_of(url), body=body, headers={"User-Agent": _AGENT, **headers})
    with client.getresponse() as response:
        if max_octets is None:
            return Fetched(response.status, _named(response), b"")
        answer = whole_answer(response, max_octets)
    if answer is None:
        raise EgressFault("too_big", f"the answer is longer than {max_octets} octets")
    return answer


def target_of(url: str) -> str:
    """Return what of a URL its host is asked for (RFC 9112, 3.2.1)."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def whole_answer(response: http.client.HTTPResponse, most_octets: int) -> Fetched | None:
    """Return what came once all of it is there, None where it is longer; raise IncompleteRead where it breaks off."""
    content = response.read(most_octets + 1)
    if len(content) > most_octets:
        return None
    if response.length:  # asked for so many octets, the library takes what came for the whole
        raise http.client.IncompleteRead(content, response.length)
    return Fetched(response.status, _named(response), content)


def _named(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}
