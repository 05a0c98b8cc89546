"""A connection that keeps what has come and what can't leave yet, so that no thread waits with a slow client."""

import errno
import select
import socket
import time
from typing import Any

PATIENCE = 20.0  # seconds that a client may take, and beside them:
LEAST_RATE = 20_000  # octets a second
PIECE = 65_536  # octets taken at once
MOST_UNSAID = 4_000_000  # octets of an answer that wait for its client outside the threads; our largest file has 2.5 MB

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class PatientSocket(socket.socket):
    """What gunicorn's parser reads from and its answers are written to, as to any socket; it never waits by itself."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.held = bytearray()  # has come, and is not read yet
        self.rest = bytearray()  # is said, and has not left yet
        self.has_continued = False
        self.begin(is_whole=True)

    def begin(self, *, is_whole: bool) -> None:
        """Begin with a request; of one that is `is_whole` nothing more is waited for."""
        self.is_whole = is_whole
        self._waited = 0.0
        self._passed = 0

    @property
    def weight(self) -> int:
        return len(self.held) + len(self.rest)

    def take(self) -> bool:
        """Take what has come; tell whether there may be more."""
        try:
            part = super().recv(PIECE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.held += part
        return bool(part)

    def ask_to_continue(self) -> bool:
        """Ask once for the body that a client sends only then; tell whether the client is there."""
        if not self.has_continued:
            self.has_continued = True
            try:
                self.sendall(_CONTINUE)
            except OSError:
                return False
        return True

    def recv(self, size: int, _flags: int = 0) -> bytes:
        """Return what has come; wait only for a body that is too large to be held, at the least rate."""
        while not self.held:
            if self.is_whole:
                raise ConnectionResetError(errno.ECONNRESET, "no more is waited for")
            self._wait_for(select.POLLIN)
            if not self.take():
                return b""
            self._passed += len(self.held)
        part = bytes(self.held[:size])
        del self.held[:size]
        return part

    def send(self, data: Any, _flags: int = 0) -> int:
        if data == _CONTINUE:
            self.ask_to_continue()
        else:
            self.sendall(data)
        return len(data)

    def sendall(self, data: Any, _flags: int = 0) -> None:
        """Say `data`, as far as the client takes it at once; what is left leaves later, but for too much."""
        sent = 0 if self.rest else self._say(data)
        self.rest += memoryview(data)[sent:]
        while len(self.rest) > MOST_UNSAID:
            self._wait_for(select.POLLOUT)
            self.say_rest()

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        file.seek(offset)
        said = 0
        while block := file.read(PIECE if count is None else min(PIECE, count - said)):
            self.sendall(block)
            said += len(block)
        return said

    def say_rest(self) -> bool:
        """Say what the client takes now; tell whether all is said. Raises OSError where the client is gone."""
        del self.rest[: self._say(self.rest)]
        return not self.rest

    def _say(self, data: Any) -> int:
        """Return how many octets of `data` left."""
        sent = 0
        with memoryview(data) as view:
            while sent < len(view):
                try:
                    sent += super().send(view[sent:], socket.MSG_DONTWAIT)
                except BlockingIOError:
                    break
        self._passed += sent
        return sent

    def _wait_for(self, event: int) -> None:
        """Wait for the client; raise ConnectionResetError where it is slower than the least rate."""
        left = PATIENCE + self._passed / LEAST_RATE - self._waited
        poll = select.poll()
        poll.register(self, event)
        began = time.monotonic()
        is_ready = left > 0 and poll.poll(left * 1000)
        self._waited += time.monotonic() - began
        if not is_ready:
            self.rest.clear()
            raise ConnectionResetError(errno.ECONNRESET, "the client is too slow")
