"""A connection whose every step has what is left of one time: no answer that drips outlasts it, and no thread watches it."""

import io
import select
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class TimedSocket:
    """What `http.client` takes for a socket; raises TimeoutError once its time is up. Who made the connection closes it."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._ends_at = time.monotonic() + seconds
        connection.settimeout(0)  # a step that waits by itself may wait anew with each octet

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._ends_at

    def do_handshake(self) -> None:
        if isinstance(self._connection, ssl.SSLSocket):
            self._step(self._connection.do_handshake, select.POLLIN)

    def sendall(self, data: Any) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            sent = self._step(partial(self._connection.send, rest), select.POLLOUT)
            rest = rest[sent:]
            if not sent:  # gevent's TLS says so where Python's raises
                self._wait(select.POLLOUT)

    def recv_into(self, buffer: Any) -> int:
        return self._step(partial(self._connection.recv_into, buffer), select.POLLIN)

    def makefile(self, *_: object) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Leave the connection to its owner: it may be kept."""

    def _step(self, act: Callable[[], T], usual: int) -> T:
        while not self.is_over:
            try:
                return act()
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT)
            except BlockingIOError:
                self._wait(usual)
        raise TimeoutError("its time is up")

    def _wait(self, for_what: int) -> None:
        left = max(0.0, self._ends_at - time.monotonic())
        ready = select.poll()
        ready.register(self._connection, for_what)
        ready.poll(left * 1000)


class _Reader(io.RawIOBase):
    def __init__(self, timed: TimedSocket) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._timed.recv_into(buffer)
