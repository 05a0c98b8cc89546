"""Lines, replies and bodies over one socket, each with a deadline of its own; knows nothing of mail's order."""

import contextlib
import re
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from mailops.protocol.reply import Reply, make_reply
from mailops.transports.sessions import Phase

T = TypeVar("T")

_LINE = re.compile(rb"^([2-5]\d\d)(?:([ -])(.*))?$", re.DOTALL)
_MAX_LINE = 8 * 1024  # RFC 5321, 4.5.3.1.5 says 512; some servers write essays
_MAX_LINES = 500
_MAX_TEXT = 4 * 1024  # kept of one reply; the rest is read and forgotten
_MAX_REPLY = 512 * 1024  # read of one reply before we give up on the server
_CHUNK = 64 * 1024
_RECORD = 16 * 1024  # the most that TLS puts into one


class WireLost(Exception):
    """The connection ended, timed out or spoke nonsense; `cause` is dropped, timeout or protocol."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(detail)
        self.cause, self.detail = cause, detail


class Observer(Protocol):
    """Sees the conversation go by; whoever calls `sent` has masked the secrets."""

    def entered(self, phase: Phase) -> None: ...

    def sent(self, text: str) -> None: ...

    def received(self, reply: Reply) -> None: ...


class Wire:
    """A socket that is never waited for longer than asked, whatever drips out of it."""

    def __init__(self, connection: socket.socket, observer: Observer | None = None) -> None:
        self._socket = connection
        self._socket.setblocking(False)
        self._buffer = bytearray()
        self._observer = observer
        self._hidden: list[str] = []

    def hide(self, texts: list[str]) -> None:
        """Mask `texts` in all that is heard from now on: some servers echo what they were told."""
        self._hidden += filter(None, texts)

    def start_tls(self, context: ssl.SSLContext, host: str, *, timeout: float) -> None:
        """Shake hands as a client of `host`; raise ssl.SSLError or WireLost."""
        secured = context.wrap_socket(
            self._socket, server_hostname=host, do_handshake_on_connect=False
        )
        self._socket = secured
        self._until(secured.do_handshake, time.monotonic() + timeout)

    @property
    def tls(self) -> ssl.SSLSocket | None:
        return self._socket if isinstance(self._socket, ssl.SSLSocket) else None

    def send(self, data: bytes, *, timeout: float) -> None:
        view = memoryview(data)
        while view:
            view = view[self._send_some(view, time.monotonic() + timeout) :]

    def send_body(self, body: bytes, behind: bytes, *, timeout: float) -> None:
        """Write `body` and what rides `behind` it.

        Raise WireLost only if the body's end did not leave, as where the peer speaks before it: a loss behind it shows
        when the reply is read.
        """
        view = memoryview(body + behind)
        unwritten = len(body)
        while view:
            try:
                sent = self._send_some(view, time.monotonic() + timeout, listens=unwritten > 0)
            except WireLost:
                if unwritten > 0:
                    raise
                return
            view = view[sent:]
            unwritten -= sent

    def read_reply(self, command: str, *, timeout: float) -> Reply:
        """Return the next whole reply; raise WireLost."""
        deadline = time.monotonic() + timeout
        lines: list[str] = []
        verdicts: set[bool] = set()  # RFC 5321, 4.2.1: each line has the same code
        kept = total = 0
        while True:
            line = self._read_line(deadline)
            total += len(line)
            found = _LINE.match(line)
            if found is None:
                # before it is cut, or half a secret would stand there
                heard = self._masked(_decode(line))
                raise WireLost("protocol", f"not a reply: {heard[:200]!r}")
            verdicts.add(line[:1] < b"4")
            if len(verdicts) > 1:
                raise WireLost("protocol", "one reply says yes and no")
            if total > _MAX_REPLY or len(lines) >= _MAX_LINES:
                raise WireLost("protocol", "the reply does not end")
            text = self._masked(_decode(found[3] or b""))[: max(0, _MAX_TEXT - kept)]
            kept += len(text)
            lines.append(text)
            if found[2] != b"-":
                reply = make_reply(int(found[1]), lines, command)
                if self._observer:
                    self._observer.received(reply)
                return reply

    @property
    def has_surplus(self) -> bool:
        """Whether more came than was asked for."""
        return bool(self._buffer)

    def has_spoken(self) -> bool:
        """Tell whether the peer has said something that was not read yet; raise WireLost where it is gone."""
        return self.has_surplus or self._has_spoken()

    def is_quiet(self) -> bool:
        """Tell whether the peer is still there and silent, as it must be between messages."""
        try:
            return not self.has_spoken()
        except WireLost:
            return False

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def cut(self) -> None:
        """Close with a reset: the peer can't take it for the end of a message."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def _masked(self, text: str) -> str:
        for hidden in self._hidden:
            text = text.replace(hidden, "****")
        return text

    def _read_line(self, deadline: float) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _MAX_REPLY:
                raise WireLost("protocol", "a line of the reply does not end")
            if not self._receive(deadline):
                raise WireLost("dropped", "the server closed the connection")
        line = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        return line[:_MAX_LINE]

    def _receive(self, deadline: float) -> int:
        try:
            if self.tls is None:
                data = self._receive_plain(deadline)
            else:
                data = self._until(lambda: self._socket.recv(_CHUNK), deadline)
        except OSError as error:
            raise WireLost("dropped", f"connection lost: {error}") from error
        self._buffer += data
        return len(data)

    def _receive_plain(self, deadline: float) -> bytes:
        """Do what `_until` does, by the socket's own way to wait, which costs gevent far less than a poll.

        TLS may wait several times for one record, and would have all of the time for each.
        """
        self._socket.settimeout(max(0.0, deadline - time.monotonic()))
        try:
            return self._socket.recv(_CHUNK)
        except BlockingIOError:
            pass  # the time was over before
        except TimeoutError as error:
            if error.errno is not None:  # the system gave the connection up
                raise
        finally:
            self._socket.setblocking(False)
        try:
            return self._socket.recv(_CHUNK)  # what came in time, where this process came late
        except BlockingIOError as error:
            raise _too_late() from error

    def _send_some(self, view: memoryview, deadline: float, *, listens: bool = False) -> int:
        """Write some of `view` and return how much; raise WireLost also once the peer speaks, if this `listens`."""
        while True:
            try:
                return self._put(view[:_RECORD])
            except ssl.SSLWantReadError:
                ready = self._await(select.POLLIN, deadline)
            except (ssl.SSLWantWriteError, BlockingIOError):
                events = select.POLLOUT | (select.POLLIN if listens else 0)
                ready = self._await(events, deadline)
            except OSError as error:
                raise WireLost("dropped", f"connection lost: {error}") from error
            if ready & select.POLLIN and self._has_spoken() and listens:
                raise WireLost("protocol", "the server spoke before the content had ended")

    def _put(self, block: memoryview) -> int:
        """Write of `block`, one TLS record at most, and return how much left; raise what says that it would block.

        Of several records OpenSSL puts out some and says that it would block: the peer reads what we think unwritten.
        gevent's SSLSocket.send returns 0 where it would block; its `write` raises, as the standard library's does.
        """
        tls = self.tls
        return tls.write(block) if tls is not None else self._socket.send(block)

    def _has_spoken(self) -> bool:
        """Take in what came, if it is more than TLS's own business."""
        try:
            data = self._socket.recv(_CHUNK)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return False
        except OSError as error:
            raise WireLost("dropped", f"connection lost: {error}") from error
        if not data:
            raise WireLost("dropped", "the server closed the connection")
        self._buffer += data
        return True

    def _until(self, operation: Callable[[], T], deadline: float) -> T:
        """Return what `operation` returns once the socket is ready for it; raise WireLost at the deadline."""
        while True:
            try:
                return operation()
            except (ssl.SSLWantReadError, BlockingIOError):
                self._await(select.POLLIN, deadline)
            except ssl.SSLWantWriteError:
                self._await(select.POLLOUT, deadline)

    def _await(self, events: int, deadline: float) -> int:
        poll = select.poll()
        poll.register(self._socket, events)
        left = deadline - time.monotonic()
        ready = poll.poll(left * 1000) if left > 0 else []
        if not ready:
            raise _too_late()
        return ready[0][1]


def _too_late() -> WireLost:
    return WireLost("timeout", "the server did not answer in time")


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
