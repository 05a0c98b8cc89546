"""The SMTP server of the return-path host: it stores what it takes before the 250, and does nothing else."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings
from django.db import DatabaseError, connection

from mailops.feedback.archiving import archive
from mailops.feedback.models import RawFeedback, return_path_hosts
from mailops.feedback.tasks import nudge
from mailops.protocol.report import header_fields

T = TypeVar("T")

SIZE_LIMIT = 10_485_760  # octets; a report that returns a whole message is a little bigger than it
LINE_LIMIT = (
    1_000_000  # octets; who returns a message returns its overlong lines too (RFC 5321 has 1,000)
)
SESSION_LIMIT = 200  # at once; more are told to come back
RECIPIENT_LIMIT = 20  # a report goes to one address; RFC 5321's 100 are for people
IDLE_SECONDS = 120
STOP_SECONDS = 1.0
NUDGE_SECONDS = 0.3  # what arrives together is announced together
HOSTS_SECONDS = 15.0


class Archive:
    """Stores what the sessions took, in one thread that owns the database connection."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "feedback-store")
        self._nudge: asyncio.TimerHandle | None = None
        self._hosts: frozenset[str] = frozenset()
        self._hosts_until = 0.0

    async def keep(self, **feedback: Any) -> None:
        """Return when it is stored; raises DatabaseError where it could not be."""
        await self._run(lambda: archive(**feedback))
        if self._nudge is None:
            loop = asyncio.get_running_loop()
            self._nudge = loop.call_later(NUDGE_SECONDS, self._announce)

    async def hosts(self) -> frozenset[str]:
        """Return the hosts that reports come back to; raises DatabaseError."""
        if time.monotonic() > self._hosts_until:
            self._hosts = await self._run(return_path_hosts)
            self._hosts_until = time.monotonic() + HOSTS_SECONDS
        return self._hosts

    async def close(self) -> None:
        """Wait until what was taken is stored; the tick announces it."""
        if self._nudge is not None:
            self._nudge.cancel()
        await self._run(connection.close)
        self._thread.shutdown()

    def _announce(self) -> None:
        self._nudge = None
        # A broker that hangs must hold up neither storing nor stopping.
        threading.Thread(target=nudge, name="feedback-nudge", daemon=True).start()

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, _guarded, work)


def _guarded(work: Callable[[], T]) -> T:
    try:
        return work()
    except DatabaseError:
        connection.close()  # the next one opens a new connection, should the server be back
        raise


class Postmaster:
    """Answers the commands of all sessions: aiosmtpd's handler."""

    def __init__(self, store: Archive) -> None:
        self._store = store

    async def handle_RCPT(  # noqa: N802 - aiosmtpd gives its hooks their names and arguments
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        local_part, _, host = address.rpartition("@")
        try:
            is_ours = host.lower().rstrip(".") in await self._store.hosts()
        except DatabaseError:
            return "451 4.3.0 The database can't be reached, try again later"
        if not (is_ours and local_part):
            return f"550 5.7.1 Relaying denied: this server takes feedback only, not mail for {host or address}"
        if len(envelope.rcpt_tos) >= RECIPIENT_LIMIT:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,
        envelope: Envelope,
    ) -> str:
        content = envelope.original_content or b""
        try:
            await self._store.keep(
                source=RawFeedback.Source.MAIL,
                content=content,
                peer=_peer(session),
                envelope_sender=(envelope.mail_from or "").removeprefix("<>"),
                envelope_recipients=envelope.rcpt_tos,
                headers={name: values[0] for name, values in header_fields(content).items()},
            )
        except DatabaseError:
            return "451 4.3.0 The message could not be stored, try again later"
        return "250 2.0.0 OK: stored"


class Conversation(SMTP):
    """One session of the server."""

    line_length_limit = LINE_LIMIT

    def __init__(
        self, handler: Postmaster, *, sessions: "set[Conversation]", **options: Any
    ) -> None:
        super().__init__(handler, **options)
        self._sessions = sessions

    def connection_made(self, transport: Any) -> None:
        if len(self._sessions) >= SESSION_LIMIT:
            transport.write(b"421 4.7.0 Too many sessions, come back later\r\n")
            transport.close()
            return
        super().connection_made(transport)
        self._sessions.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._sessions:
            self._sessions.discard(self)
            super().connection_lost(error)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


async def serve(
    *, host: str, port: int, stop: asyncio.Event, ready: Callable[[int], None] = lambda _: None
) -> None:
    """Take feedback on `host` and `port` (0: any free one, told to `ready`) until `stop` is set."""
    store, sessions, loop = Archive(), set[Conversation](), asyncio.get_running_loop()

    def session() -> Conversation:
        return Conversation(
            Postmaster(store),
            sessions=sessions,
            loop=loop,
            hostname=settings.MAILOPS_RETURN_PATH_HOST,
            ident="mailops feedback",
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            timeout=IDLE_SECONDS,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
        )

    server = await loop.create_server(session, host, port)
    ready(server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()
    for conversation in list(sessions):
        conversation.close()
    with contextlib.suppress(TimeoutError, DatabaseError):
        await asyncio.wait_for(store.close(), STOP_SECONDS)


def _peer(session: Session) -> str:
    address = str((session.peer or ("",))[0])
    return f"{session.host_name} [{address}]" if session.host_name else address
