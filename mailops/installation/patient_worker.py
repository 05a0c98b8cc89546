"""Gunicorn's threads, given only to requests that are here: slow clients wait outside, where they cost nothing.

Anybody may call a webhook's address. With a thread for each connection, eight that say half a line would stop all pages.
So the loop looks at what has come, without taking it, and gives a connection to a thread once its request is whole, or so
large that a thread must read it.
"""

import errno
import re
import selectors
import socket
import struct
import time
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

ARRIVAL_SECONDS = 20.0  # for a whole request to come
STALL_SECONDS = 20  # without an octet, of a request that a thread reads
LARGE = 65_536  # octets; what is larger is read by a thread as it comes
SPARE = 100  # connections kept free: of those that only wait, the oldest make room

_SIZE = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,19})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
_ASKS_FIRST = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """Overrides what gunicorn does with connections that can be read; the rest is its own."""

    def accept(self, listener: Any) -> None:
        try:
            connection, address = listener.accept()
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.ECONNABORTED, errno.EMFILE, errno.ENFILE}:
                return
            raise
        self.nr_conns += 1
        stall = struct.pack("ll", STALL_SECONDS, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, stall)
        self._look(TConn(self.cfg, connection, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._look(conn)

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        if missing := missing_of(conn.sock):
            _wake_at(conn.sock, missing)
        else:
            _wake_at(conn.sock, 1)
            super().on_pending_socket_readable(conn, client)

    def murder_pending(self) -> None:
        super().murder_pending()
        while self.pending_conns and self.nr_conns > self.worker_connections - SPARE:
            conn = self.pending_conns.popleft()
            self.poller.unregister(conn.sock)
            self.nr_conns -= 1
            conn.close()

    def _look(self, conn: Any) -> None:
        """Give a connection to a thread, or wait for the rest of what it says."""
        missing = missing_of(conn.sock)
        if not missing:
            conn.data_ready = True
            self.enqueue_req(conn)
            return
        _wake_at(conn.sock, missing)
        conn.timeout = time.monotonic() + ARRIVAL_SECONDS
        self.pending_conns.append(conn)
        wake = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, wake)


def missing_of(connection: socket.socket) -> int:
    """Return at how many octets to look again; 0 where a thread may take it: it is whole, large, or over."""
    connection.setblocking(False)
    try:
        come = connection.recv(LARGE, socket.MSG_PEEK)
    except BlockingIOError:
        return 1
    except OSError:
        return 0
    return missing_in(come) if come else 0


def missing_in(come: bytes) -> int:
    """Return at how many octets the request that begins so should be looked at again, 0 where it is to be read."""
    head, end, body = come.partition(b"\r\n\r\n")
    if len(come) >= LARGE or (end and _ASKS_FIRST.search(head)):
        return 0
    if not end:
        return len(come) + 1
    if _CHUNKED.search(head):
        return 0 if body.endswith(b"0\r\n\r\n") else len(come) + 1
    size = _SIZE.search(head + b"\r\n")
    whole = len(come) - len(body) + (int(size[1]) if size else 0)
    return 0 if len(come) >= whole else min(whole, LARGE)


def _wake_at(connection: socket.socket, octets: int) -> None:
    """Have the loop hear of a connection once it has so many octets, not of each one."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, octets)
