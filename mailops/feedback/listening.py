"""The SMTP server of the return-path host: it stores what it takes before the 250, and does nothing else."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings

from mailops.feedback.allowance import Allowance, Shares
from mailops.feedback.archiving import archive
from mailops.feedback.matching import by_address, names_a_message
from mailops.feedback.models import RawFeedback, return_path_hosts
from mailops.feedback.tasks import nudge
from mailops.lib import smtp_listener
from mailops.lib.smtp_listener import StoreThread
from mailops.lib.smtp_room import Limits, Room, whose
from mailops.lib.storable import storable
from mailops.protocol.report import header_fields

SIZE_LIMIT = 10_485_760  # octets; a report that returns a whole message is a little bigger than it
# octets; who returns a message returns its overlong lines too (RFC 5321 has 1,000)
LINE_LIMIT = 1_000_000
LIMITS = Limits(  # at once; who comes beyond them is told to come back
    sessions=200, sessions_each=50, octets=12 * SIZE_LIMIT, octets_each=4 * SIZE_LIMIT
)
SHARES = Shares(  # of a day; complaints and reports on domains have some KB, and nobody gets many on one message
    signed=4 * SIZE_LIMIT, sender=25 * SIZE_LIMIT, strangers=100 * SIZE_LIMIT
)
RECIPIENT_LIMIT = 20  # a report goes to one address; RFC 5321's 100 are for people
IDLE_SECONDS = 120
NUDGE_SECONDS = 0.3  # what arrives together is announced together
HOSTS_SECONDS = 15.0
TELL_SECONDS = 3600.0  # between two lines on mail that is more than a day's share

logger = logging.getLogger(__name__)


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
        self._allowance = Allowance(SHARES)
        self._quiet_until = 0.0

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
        if not await self._may_keep(session, envelope, len(content)):
            return "452 4.3.1 Too much mail for one day, come back later"
        await self._archive.keep(
            source=RawFeedback.Source.MAIL,
            content=content,
            peer=_peer(session),
            envelope_sender=(envelope.mail_from or "").removeprefix("<>"),
            envelope_recipients=envelope.rcpt_tos,
            headers={name: values[0] for name, values in header_fields(content).items()},
        )
        return "250 2.0.0 OK: stored"

    async def _may_keep(self, session: Session, envelope: Envelope, octets: int) -> bool:
        """Tell whether there is room for a mail today; it is counted for the first of its addresses that we signed."""
        for address in envelope.rcpt_tos:
            if await self._archive.is_signed(address):
                may = self._allowance.take_signed(address, octets)
                break
        else:
            may = self._allowance.take_strange(whose(session.peer), octets)
        if not may:
            self._tell(_peer(session))
        return may

    def _tell(self, peer: str) -> None:
        if time.monotonic() < self._quiet_until:
            return
        self._quiet_until = time.monotonic() + TELL_SECONDS
        logger.warning(
            "More mail came to the return-path host than is kept of a day, last from %r; it is told to come back later. "
            "If it is a flood, keep its sender out by the firewall.",
            peer,
        )


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
