"""Cuts a connection that a library reads by itself when its time is up; what reads in steps of ours takes a TimedSocket."""

import contextlib
import socket
import threading
from typing import Self


class Deadline:
    """Cuts a connection when its time is up, however slowly the answer drips."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self.is_over = False
        self._connection = connection
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        """Begin to watch; raise OSError where no thread can be had, since nothing may go on unwatched."""
        try:
            self._timer.start()
        except RuntimeError as error:
            raise OSError(f"no thread can be started to watch the time ({error})") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self.is_over = True
        with contextlib.suppress(OSError):
            # not TLS's own: it gives up encrypting first, and what is being written would go on in the clear
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
