"""What our SMTP servers share: sessions that always answer, a thread that stores, and a stop that waits for no client."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP
from django.db import Error, connection

T = TypeVar("T")

STOP_SECONDS = 1.5  # for what is being stored; then the server goes, and who got no 250 comes again

logger = logging.getLogger(__name__)


class Stopping(Exception):
    """The server is going down and stores nothing more."""


class StoreThread:
    """Does work one piece after another, in a thread that owns its database connection and that no exit waits for."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self.is_closing = False
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def do(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises; Stopping once the thread is being closed."""
        if self.is_closing:
            raise Stopping
        return await self._put(work)

    async def close(self) -> None:
        """Wait until what was put is done, and end the thread."""
        self.is_closing = True
        closed = self._put(_disconnect)
        self._work.put(None)
        await closed

    def _put(self, work: Callable[[], T]) -> asyncio.Future[T]:
        done: Future[T] = Future()
        self._work.put((work, done))
        return asyncio.wrap_future(done)

    def _run(self) -> None:
        while (piece := self._work.get()) is not None:
            work, done = piece
            if not done.set_running_or_notify_cancel():
                continue  # its session is gone, and was told nothing
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - the thread's outermost frame: whoever waits hears of it
                if isinstance(error, Error):
                    connection.close()  # the next piece opens a new one, should the server be back
                done.set_exception(error)
            else:
                done.set_result(result)


def _disconnect() -> None:
    connection.close()  # the one of the thread that runs this


class Conversation(SMTP):
    """One session; `sessions` are those that are open, and more than `limit` at once are told to come back."""

    def __init__(
        self, handler: Any, *, sessions: "set[Conversation]", limit: int, **options: Any
    ) -> None:
        super().__init__(handler, **options)
        self._sessions, self._limit = sessions, limit

    def connection_made(self, transport: Any) -> None:
        if len(self._sessions) >= self._limit:
            transport.write(b"421 4.7.0 Too many sessions, come back later\r\n")
            transport.close()
            return
        super().connection_made(transport)
        self._sessions.add(self)

    def eof_received(self) -> bool | None:
        is_half_open: bool | None = super().eof_received() if self in self._sessions else False
        return is_half_open

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._sessions:
            self._sessions.discard(self)
            super().connection_lost(error)

    async def handle_exception(self, error: Exception) -> str:
        """Return the answer to a command that failed: whatever it was, the client keeps its message and comes again."""
        if self.envelope is not None and self.envelope.content is not None:
            self._set_post_data_state()  # type: ignore[no-untyped-call]
        if isinstance(error, Stopping):
            return "421 4.3.2 Shutting down, come back later"
        if isinstance(error, Error):
            logger.warning("the database can't be used, a client is told to come back: %s", error)
        else:
            logger.error("a client is told to come back after an error of ours", exc_info=error)
        return "451 4.3.0 Something failed here, try again later"

    def hang_up(self) -> None:
        """Close the connection without waiting for the peer; the coroutine that answers it is canceled with it."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()


async def listen(
    *,
    host: str,
    port: int,
    stop: asyncio.Event,
    ready: Callable[[int], None],
    make: Callable[[set[Conversation]], Conversation],
    store: StoreThread,
) -> None:
    """Serve sessions that `make` makes on `host` and `port` (0: any free one, told to `ready`) until `stop` is set.

    Then what is being stored gets STOP_SECONDS, and every client is hung up on, whatever it does.
    """
    sessions: set[Conversation] = set()
    server = await asyncio.get_running_loop().create_server(lambda: make(sessions), host, port)
    ready(server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()
    try:
        await asyncio.wait_for(store.close(), STOP_SECONDS)
    except (TimeoutError, Error) as error:
        logger.warning("stopped with the store busy: %r", error)
    await asyncio.sleep(0)  # the replies to what was stored just now go out
    for conversation in list(sessions):
        conversation.hang_up()
    await asyncio.sleep(0)
