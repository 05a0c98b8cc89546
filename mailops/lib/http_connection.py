"""One kept HTTP/1.1 connection to one origin, opened by egress, bounded in time and size, never redirected.

What failed before a request was sent is told apart from an answer that got lost.
"""

import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from mailops.lib import egress
from mailops.lib.egress import EgressFault
from mailops.lib.fetching import Fetched, target_of, whole_answer
from mailops.lib.timed_socket import TimedSocket
from mailops.lib.tls import client_context, flaw_of

MOST_OCTETS = 1024 * 1024  # of an answer
# after which a kept connection isn't trusted: peers close theirs without a word
IDLE_SECONDS = 20.0

# What a server can mean that has seen the head alone (RFC 9110, 15.5); any other answer may be to the half that it got.
_SAID_WITHOUT_BODY = frozenset({401, 402, 403, 404, 405, 413, 429})


class NotSent(Exception):
    """The peer can't have read the whole request. `cause` is one of EgressFault's, or begins with tls."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause, self.detail = cause, detail


class AnswerLost(Exception):
    """The request was sent, and no whole answer came: what it asked for may have been done."""


class AnswerTooLong(AnswerLost):
    """More came than is read of one answer."""


class HttpConnection:
    """Used by one thread."""

    def __init__(
        self, url: str, *, connect_seconds: float, answer_seconds: float, ca_file: str = ""
    ) -> None:
        parts = urlsplit(url)
        self.scheme, self.host = parts.scheme, parts.hostname or ""
        self.port = egress.port_of(parts)
        self.netloc = parts.netloc
        self.peer = ""
        self.tls: ssl.SSLSocket | None = None
        self._connect_seconds, self._answer_seconds = connect_seconds, answer_seconds
        self._ca_file = ca_file
        self.requests = 0  # of which something may have left
        self._socket: socket.socket | None = None
        self._used_at = 0.0
        self._hidden: list[bytes] = []

    def leads_to(self, url: str) -> bool:
        """Tell whether `url` is of this connection's origin, however its host is written."""
        parts = urlsplit(url)
        origin = (parts.scheme, parts.hostname, egress.port_of(parts))
        return origin == (self.scheme, self.host, self.port)

    def hide(self, texts: Iterable[str]) -> None:
        """Mask `texts` in all that is answered from now on: some servers quote what they were told."""
        self._hidden += [text.encode() for text in texts if text]

    @property
    def is_open(self) -> bool:
        """Whether the connection is there, quiet and lately used; if not, it is closed."""
        if self._socket is None:
            return False
        if time.monotonic() - self._used_at > IDLE_SECONDS or not self._is_quiet(self._socket):
            self.close()
        return self._socket is not None

    def _is_quiet(self, connection: socket.socket) -> bool:
        """Tell whether nothing came unasked, the peer's farewell included; what TLS itself sends is read past."""
        connection.setblocking(False)
        try:
            connection.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        finally:
            connection.settimeout(self._answer_seconds)
        return False

    def open(self) -> None:
        """Resolve, check, connect and, for https, verify; raise NotSent."""
        if self.is_open:
            return
        if self.scheme != "https" and not egress.is_trusted(self.host, self.port):
            raise NotSent("not_trusted", f"{self.host}:{self.port} is not a trusted relay")
        try:
            endpoint = egress.resolve(self.host, self.port)
            connection, address = egress.connect(endpoint, timeout=self._connect_seconds)
        except EgressFault as fault:
            raise NotSent(fault.cause, fault.detail) from fault
        self.peer = f"{self.host} [{address}]:{self.port}"
        self._socket = self._secured(connection) if self.scheme == "https" else connection
        self._socket.settimeout(self._answer_seconds)
        self._used_at = time.monotonic()

    def _secured(self, connection: socket.socket) -> ssl.SSLSocket:
        secured = client_context(self._ca_file).wrap_socket(
            connection, server_hostname=self.host, do_handshake_on_connect=False
        )
        try:
            TimedSocket(secured, self._connect_seconds).do_handshake()
        except ssl.SSLCertVerificationError as error:
            secured.close()
            raise NotSent(flaw_of(error), error.verify_message) from error
        except OSError as error:
            secured.close()
            raise NotSent("tls_failed", str(error)) from error
        self.tls = secured
        return secured

    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        most_octets: int = MOST_OCTETS,
    ) -> Fetched:
        """Return the answer to what `url`, of this origin, is asked, whatever its status; raise NotSent or AnswerLost, and be closed then."""
        self.open()
        assert self._socket is not None
        client = http.client.HTTPConnection(self.netloc)
        client.sock = TimedSocket(self._socket, self._answer_seconds)
        self.requests += 1
        try:
            client.request(method, target_of(url), body=body, headers=dict(headers))
        except (OSError, http.client.HTTPException) as error:
            early = _read_early(client, most_octets)
            self.close()
            if early is None:
                raise NotSent("dropped", f"{self.host}: {error!r}") from error
            return self._masked(early)
        except ValueError as error:  # its words quote the header that it is of, a key perhaps
            self.close()
            what = f"{self.host}: the request can't be written ({type(error).__name__})"
            raise NotSent("dropped", what) from None
        try:
            answer, is_kept = _read(client, most_octets)
        except AnswerTooLong:
            self.close()
            raise
        except TimeoutError as error:
            self.close()
            raise AnswerLost(f"{self.host} gave no whole answer in time") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise AnswerLost(f"{self.host}: {self._without_secrets(repr(error))}") from error
        self._used_at = time.monotonic()
        if not is_kept:
            self.close()
        return self._masked(answer)

    def _masked(self, answer: Fetched) -> Fetched:
        body = answer.body
        for hidden in self._hidden:
            body = body.replace(hidden, b"****")
        return replace(answer, body=body)

    def _without_secrets(self, text: str) -> str:
        """Return `text`, which may quote a line that was no answer, without what is hidden."""
        for hidden in self._hidden:
            text = text.replace(hidden.decode(), "****")
        return text

    def close(self) -> None:
        connection, self._socket, self.tls = self._socket, None, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()


def _read_early(client: http.client.HTTPConnection, most_octets: int) -> Fetched | None:
    """Return the refusal of a peer that would not hear the request to its end (RFC 9112, 9.5), if that is what it said."""
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError, AnswerTooLong):
        answer, _ = _read(client, most_octets)
        return answer if answer.status in _SAID_WITHOUT_BODY else None
    return None


def _read(client: http.client.HTTPConnection, most_octets: int) -> tuple[Fetched, bool]:
    """Return the answer and whether the connection may be used again; raise AnswerTooLong."""
    with client.getresponse() as response:
        answer = whole_answer(response, most_octets)
        if answer is None:
            raise AnswerTooLong(f"{client.host}: the answer is longer than {most_octets} octets")
        return answer, not response.will_close
