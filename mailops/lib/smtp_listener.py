"""What our SMTP servers share: sessions that always answer, a thread that stores, and a stop that waits for no client."""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, Envelope, syntax
from django.db import Error, connection

from mailops.lib.smtp_data import MailData
from mailops.lib.smtp_room import Held, Limits, Room

T = TypeVar("T")

DATA_SECONDS = 300.0  # from DATA to the dot
CHUNK = 1_048_576  # octets; more than asyncio ever has at hand, so that what follows a mail can be put back
PATIENCE = 4  # times the size limit are read, so that the client hears why its mail is refused; then it is hung up on
LAST_LINE = b".\r\n"
STOP_SECONDS = 1.5  # for what is being stored; then the server goes, and who got no 250 comes again

logger = logging.getLogger(__name__)


class Stopping(Exception):
    """The server is going down and stores nothing more."""


class _Piece:
    """Work that waits; once its session is gone, so is what it holds."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.done: Future[Any] = Future()
        self.done.add_done_callback(self._forget)

    def _forget(self, _: object) -> None:
        self.work = _nothing


class StoreThread:
    """Does work one piece after another, in a thread that owns its database connection and that no exit waits for."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[_Piece | None] = SimpleQueue()
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
        piece = _Piece(work)
        self._work.put(piece)
        return asyncio.wrap_future(piece.done)

    def _run(self) -> None:
        while (piece := self._work.get()) is not None:
            work, done = piece.work, piece.done
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


def _nothing() -> None:
    pass


def _disconnect() -> None:
    connection.close()  # the one of the thread that runs this


class Conversation(SMTP):
    """One session in the `room` of its server; who finds no place there is told to come back."""

    data_line_limit = SMTP.line_length_limit  # octets of a line of mail

    def __init__(self, handler: Any, *, room: Room, **options: Any) -> None:
        super().__init__(handler, **options)
        self._room = room

    def connection_made(self, transport: Any) -> None:
        if not self._room.enter(self, transport.get_extra_info("peername")):
            transport.write(b"421 4.7.0 Too many sessions, come back later\r\n")
            transport.close()
            return
        super().connection_made(transport)

    def eof_received(self) -> bool | None:
        is_half_open: bool | None = super().eof_received() if self in self._room else False
        return is_half_open

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._room:
            self._room.leave(self)
            super().connection_lost(error)

    @syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        """Take a mail. aiosmtpd would keep each line as an object, and endless ones without an end."""
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        assert self.envelope is not None
        if arg or not self.envelope.rcpt_tos:
            await self.push("501 Syntax: DATA" if arg else "503 Error: need RCPT command")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        with self._room.hold(self) as held:
            status = await self._take_mail(self.envelope, held)
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(status)

    async def _take_mail(self, envelope: Envelope, held: Held) -> str:
        data = MailData()
        self._reset_timeout(DATA_SECONDS)
        refusal = await self._read_mail(data, held)
        self._reset_timeout()
        if refusal:
            return refusal
        if data.has_line_over(self.data_line_limit):
            return "500 5.6.0 Line too long (see RFC5321 4.5.3.1.6)"
        envelope.content = envelope.original_content = data.take()
        return str(await self._call_handler_hook("DATA"))

    async def _read_mail(self, data: MailData, held: Held) -> str:
        """Read until the mail's end; return why it is refused, "" where it isn't. What is refused is not kept."""
        limit, refusal = self.data_size_limit or sys.maxsize, ""
        rest: bytes | None = None
        while rest is None:
            chunk = await self._reader.read(CHUNK)
            rest = data.feed(chunk)
            if data.size - len(LAST_LINE) > limit:
                refusal = f"552 5.3.4 The mail has more than {limit} octets"
            elif not refusal and not held.add(len(chunk)):
                refusal = "452 4.3.1 Too much mail at once, come back later"
            if refusal:
                data.drop()
                held.release()
            if not chunk or data.size > limit * PATIENCE:
                await self.drop(refusal)
        self._reader.feed_data(rest)  # commands that came with the mail (RFC 2920)
        return refusal

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

    def _timeout_cb(self) -> None:
        self.hang_up("421 4.4.2 Timed out, come back later")

    def hang_up(self, words: str = "") -> None:
        """Close the connection, after `words` if there are any, without waiting for the peer to take them.

        The coroutine that answers it is canceled with it.
        """
        if isinstance(self.transport, asyncio.WriteTransport):
            if words:
                self.transport.write(words.encode() + b"\r\n")
            self.transport.abort()

    async def drop(self, words: str = "") -> None:
        """Hang up in the middle of an answer; never returns."""
        self.hang_up(words)
        await asyncio.get_running_loop().create_future()


async def listen(
    *,
    host: str,
    port: int,
    stop: asyncio.Event,
    ready: Callable[[int], None],
    limits: Limits,
    make: Callable[[Room], Conversation],
    store: StoreThread,
) -> None:
    """Serve sessions that `make` makes on `host` and `port` (0: any free one, told to `ready`) until `stop` is set.

    Then what is being stored gets STOP_SECONDS, and every client is hung up on, whatever it does.
    """
    room = Room(limits)
    server = await asyncio.get_running_loop().create_server(lambda: make(room), host, port)
    ready(server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()
    try:
        await asyncio.wait_for(store.close(), STOP_SECONDS)
    except (TimeoutError, Error) as error:
        logger.warning("stopped with the store busy: %r", error)
    await asyncio.sleep(0)  # the replies to what was stored just now go out
    for conversation in room:
        conversation.hang_up()
    await asyncio.sleep(0)
