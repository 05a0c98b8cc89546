"""Somebody on the way: hands octets on, keeps what crossed in clear, and can take STARTTLS out of an offer."""

import contextlib
import socket
import threading


class Tap:
    """Listens on `port` and speaks to `target`; `said` is what the client wrote, `heard` what it was told."""

    def __init__(self, target: int, *, strips_starttls: bool = False) -> None:
        self._target, self._strips = target, strips_starttls
        self.said = bytearray()
        self.heard = bytearray()

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._open = []
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._open += [client, server]
            for source, sink, kept in ((client, server, self.said), (server, client, self.heard)):
                thread = threading.Thread(
                    target=self._carry, args=[source, sink, kept], daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _carry(self, source, sink, kept):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self._strips:
                    data = data.replace(b"250-STARTTLS\r\n", b"").replace(
                        b"250 STARTTLS\r\n", b"250 HELP\r\n"
                    )
                kept += data
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
