"""Gunicorn's threads, given only to requests that are here: slow clients wait outside, where they cost nothing.

Anybody may call a webhook's address. With a thread for each connection, eight that say half a line, or don't take their
answer, would stop all pages. So the loop takes what comes, gives a connection to a thread once its request is whole, and
says what an answer's client does not take at once. Only a body that is too large to be held is read by a thread as it
comes: nothing but an upload of somebody who is logged in is (`accounts.body_sizes`).
"""

import errno
import re
import selectors
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from mailops.installation.patient_socket import LEAST_RATE, PATIENCE, PIECE, PatientSocket

LONGEST_HEAD = 65_536  # octets
LARGE = 3_000_000  # octets of a body; a larger one is not held. More than a webhook's call or a form may have
MOST_HELD = 128_000_000  # octets of all that wait: of those that hold much, the oldest make room
SPARE = 100  # connections kept free: of those that only wait, the oldest make room
# for a client to hear the end of an answer before what it still says is cut off
LINGER_SECONDS = 2.0

_SIZE = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,19})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
_ASKS_FIRST = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)
_END = b"\r\n\r\n"


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """Overrides what gunicorn does with connections outside its threads; the rest is its own."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._waiting: dict[Any, float] = {}  # until when, the oldest first
        self._next_round = 0.0

    def accept(self, listener: Any) -> None:
        try:
            connection, address = listener.accept()
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.ECONNABORTED, errno.EMFILE, errno.ENFILE}:
                return
            raise
        self.nr_conns += 1
        kind = (connection.family, connection.type, connection.proto)
        patient = PatientSocket(*kind, fileno=connection.detach())
        self._look(TConn(self.cfg, patient, address, listener.getsockname()), time.monotonic())

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._look(conn, time.monotonic())

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Say what is left of the answer; then the connection is kept for another request, or closed."""
        try:
            keeps = not fs.cancelled() and bool(fs.result())
            is_said = conn.sock.say_rest()
        except Exception:  # noqa: BLE001 - whatever it was, gunicorn has logged it
            self._close(conn)
            return
        if is_said:
            self._part(conn, fs, keeps=keeps)
        else:
            until = time.monotonic() + PATIENCE + len(conn.sock.rest) / LEAST_RATE
            self._wait(conn, until, selectors.EVENT_WRITE, partial(self._say_more, conn, fs, keeps))

    def murder_pending(self) -> None:
        """Close what waited too long, once a second, and make room at once where that is short."""
        now = time.monotonic()
        if now >= self._next_round:
            self._next_round = now + 1
            for conn in [conn for conn, until in self._waiting.items() if until <= now]:
                self._close(conn)
        while self._waiting and self.nr_conns > self.worker_connections - SPARE:
            self._close(next(iter(self._waiting)))

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answer; a connection whose body was not held is not kept, and its answer says so."""
        if not conn.sock.is_whole:
            req.force_close()
        return bool(super().handle_request(req, conn))

    def _look(self, conn: Any, began: float) -> None:
        """Give a connection to a thread, or wait for the rest of what it says."""
        sock = conn.sock
        missing = missing_in(sock.held)
        if missing:
            if not sock.take():
                self._close(conn)
                return
            missing = missing_in(sock.held)
        if not missing:
            self._wake(conn)
            _wake_at(sock, 1)
            sock.begin(is_whole=not is_too_large(sock.held))
            conn.data_ready = True
            self.enqueue_req(conn)
            return
        if asks_first(sock.held) and not sock.ask_to_continue():
            self._close(conn)
            return
        _wake_at(sock, min(missing, PIECE))
        until = began + PATIENCE + (len(sock.held) + missing) / LEAST_RATE
        self._wait(conn, until, selectors.EVENT_READ, partial(self._look, conn, began))

    def _say_more(self, conn: Any, fs: Any, keeps: bool) -> None:
        try:
            is_said = conn.sock.say_rest()
        except OSError:
            self._close(conn)
            return
        if is_said:
            self._wake(conn)
            self._part(conn, fs, keeps=keeps)

    def _part(self, conn: Any, fs: Any, *, keeps: bool) -> None:
        sock = conn.sock
        sock.has_continued = False
        if not keeps:
            self._linger(conn)
            return
        sock.held[:0] = conn.parser.unreader.take_buffered()
        if sock.held:
            self._look(conn, time.monotonic())
        else:
            super().finish_request(conn, fs)

    def _linger(self, conn: Any) -> None:
        """Close once the client has: what it still says would else make it lose the answer (RFC 9112, 9.6)."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        self._hear_out(conn, time.monotonic() + LINGER_SECONDS)

    def _hear_out(self, conn: Any, until: float) -> None:
        conn.sock.held.clear()
        if conn.sock.take():
            conn.sock.held.clear()
            self._wait(conn, until, selectors.EVENT_READ, partial(self._hear_out, conn, until))
        else:
            self._close(conn)

    def _wait(self, conn: Any, until: float, event: int, go_on: Callable[[], None]) -> None:
        """Have `go_on` called when there is an `event`; it waits again, wakes the connection or closes it."""
        if conn not in self._waiting:
            # what made room meanwhile may have closed it: its event came together with the other's
            wake = lambda _client: go_on() if conn in self._waiting else None  # noqa: E731
            self.poller.register(conn.sock, event, wake)
        self._waiting[conn] = until
        if conn.sock.weight > PIECE:
            self._make_room()

    def _wake(self, conn: Any) -> None:
        if self._waiting.pop(conn, None) is not None:
            self.poller.unregister(conn.sock)

    def _make_room(self) -> None:
        heavy = [conn for conn in self._waiting if conn.sock.weight > PIECE]
        too_much = sum(conn.sock.weight for conn in heavy) - MOST_HELD
        for conn in heavy:
            if too_much <= 0:
                break
            too_much -= conn.sock.weight
            self._close(conn)

    def _close(self, conn: Any) -> None:
        self._wake(conn)
        self.nr_conns -= 1
        conn.close()


def missing_in(come: bytes | bytearray) -> int:
    """Return how many octets at least the request that begins so lacks, 0 where it is to be read: it is whole or too large."""
    end = come.find(_END, 0, LONGEST_HEAD)
    if end < 0:
        return 0 if len(come) >= LONGEST_HEAD else 1
    if is_too_large(come):
        return 0
    if _CHUNKED.search(come, 0, end):
        return 0 if come.endswith(b"0\r\n\r\n", end + len(_END)) else 1
    return max(end + len(_END) + _size_in(come, end) - len(come), 0)


def is_too_large(come: bytes | bytearray) -> bool:
    """Tell whether the request that begins so has more than can be held."""
    end = come.find(_END, 0, LONGEST_HEAD)
    return len(come) - end > LARGE + len(_END) or _size_in(come, end) > LARGE


def asks_first(come: bytes | bytearray) -> bool:
    """Tell whether the request that begins so sends its body only once it is asked for."""
    end = come.find(_END, 0, LONGEST_HEAD)
    return end >= 0 and bool(_ASKS_FIRST.search(come, 0, end))


def _size_in(come: bytes | bytearray, end: int) -> int:
    """Return the length that the head, up to `end`, says; 0 where it says none."""
    size = _SIZE.search(come, 0, end + 2) if end >= 0 else None
    return int(size[1]) if size else 0


def _wake_at(connection: socket.socket, octets: int) -> None:
    """Have the loop hear of a connection once so many octets have come, not of each one."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, octets)
