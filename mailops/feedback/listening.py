"""The SMTP server of the return-path host: it stores what it takes before the 250, and does nothing else."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings

from mailops.feedback.archiving import archive
from mailops.feedback.matching import by_address, names_a_message
from mailops.feedback.models import RawFeedback, return_path_hosts
from mailops.feedback.tasks import nudge
from mailops.lib import smtp_listener
from mailops.lib.smtp_listener import StoreThread
from mailops.lib.smtp_room import Limits, Room
from mailops.lib.storable import storable
from mailops.protocol.report import header_fields

SIZE_LIMIT = 10_485_760  # octets; a report that returns a whole message is a little bigger than it
# octets; who returns a message returns its overlong lines too (RFC 5321 has 1,000)
LINE_LIMIT = 1_000_000
LIMITS = Limits(  # at once; who comes beyond them is told to come back
    sessions=200, sessions_each=50, octets=12 * SIZE_LIMIT, octets_each=4 * SIZE_LIMIT
)
RECIPIENT_LIMIT = 20  # a report goes to one address; RFC 5321's 100 are for people
IDLE_SECONDS = 120
NUDGE_SECONDS = 0.3  # what arrives together is announced together
HOSTS_SECONDS = 15.0


class Archive:
    """Stores what the sessions took, and knows for which hosts."""

    def __init__(self, store: StoreThread) -> None:
        self._store = store
        self._nudge: asyncio.TimerHandle | None = None
        self._hosts: frozenset[str] = frozenset()
        self._hosts_until = 0.0

    async def keep(self, **feedback: Any) -> None:
        """Return when it is committed; raises what kept it from being stored."""
        await self._store.do(lambda: archive(**feedback))
        if self._nudge is None:
            loop = asyncio.get_running_loop()
            self._nudge = loop.call_later(NUDGE_SECONDS, self._announce)

    async def hosts(self) -> frozenset[str]:
        """Return the hosts that reports come back to."""
        if time.monotonic() > self._hosts_until:
            self._hosts = await self._store.do(return_path_hosts)
            self._hosts_until = time.monotonic() + HOSTS_SECONDS
        return self._hosts

    async def is_signed(self, address: str) -> bool:
        """Tell whether an address bears a signature of ours; one that can't is not asked for."""
        if not names_a_message(address):
            return False
        return await self._store.do(lambda: by_address(address)) is not None

    def _announce(self) -> None:
        self._nudge = None
        # A broker that hangs must hold up neither storing nor stopping; where no hint gets through, the tick finds it.
        threading.Thread(target=nudge, name="feedback-nudge", daemon=True).start()


class Postmaster:
    """Answers the commands of all sessions: aiosmtpd's handler."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def handle_RCPT(  # noqa: N802 - aiosmtpd gives its hooks their names and arguments
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        local_part, _, host = address.rpartition("@")
        is_ours = bool(local_part) and host.lower().rstrip(".") in await self._archive.hosts()
        # Mail that left with a host that was changed since is reported on there for days.
        if not (is_ours or await self._archive.is_signed(address)):
            shown = storable(host or address, 200)
            return (
                f"550 5.7.1 Relaying denied: this server takes feedback only, not mail for {shown}"
            )
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
        await self._archive.keep(
            source=RawFeedback.Source.MAIL,
            content=content,
            peer=_peer(session),
            envelope_sender=(envelope.mail_from or "").removeprefix("<>"),
            envelope_recipients=envelope.rcpt_tos,
            headers={name: values[0] for name, values in header_fields(content).items()},
        )
        return "250 2.0.0 OK: stored"


class Conversation(smtp_listener.Conversation):
    """One session of the server."""

    data_line_limit = LINE_LIMIT


async def serve(
    *, host: str, port: int, stop: asyncio.Event, ready: Callable[[int], None] = lambda _: None
) -> None:
    """Take feedback on `host` and `port` (0: any free one, told to `ready`) until `stop` is set."""
    store, loop = StoreThread("feedback-store"), asyncio.get_running_loop()
    postmaster = Postmaster(Archive(store))

    def make(room: Room) -> Conversation:
        return Conversation(
            postmaster,
            room=room,
            loop=loop,
            hostname=settings.MAILOPS_RETURN_PATH_HOST,
            ident="mailops feedback",
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            timeout=IDLE_SECONDS,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
        )

    await smtp_listener.listen(
        host=host, port=port, stop=stop, ready=ready, limits=LIMITS, make=make, store=store
    )


def _peer(session: Session) -> str:
    address = str((session.peer or ("",))[0])
    return f"{session.host_name} [{address}]" if session.host_name else address
