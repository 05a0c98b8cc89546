"""The sandbox's SMTP receiver: sessions, simulated mailboxes, and a 250 only for what is kept."""

import asyncio
import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from mailops.lib import smtp_listener
from mailops.lib.smtp_listener import StoreThread
from mailops.lib.smtp_room import Limits, Room
from mailops.protocol.dsn_request import (
    MAIL_PARAMETERS,
    RCPT_PARAMETERS,
    Notice,
    NotUnderstood,
    read_envid,
    read_notice,
    split_parameters,
)
from mailops.sandbox.simulating import Behavior, Phase, behavior_of
from mailops.sandbox.storing import Addressee, Received, headers_of

Store = Callable[[Sequence[Received]], None]
SIZE_LIMIT = 26_214_400  # octets; what Gmail and Outlook take, about
# messages in one transaction: large enough to be quick, small enough to stay under 100 ms
BATCH = 200
REFUSALS_OF_DEFER = 2
DEFERRALS_KEPT = 100_000  # messages whose deferrals are remembered; a restart begins anew
# at once; most of it comes from one address
LIMITS = Limits(
    sessions=2000, sessions_each=2000, octets=10 * SIZE_LIMIT, octets_each=10 * SIZE_LIMIT
)
IDLE_SECONDS = 300


class Ledger:
    """Appends one JSON line to `path` for each message and recipient taken, before the reply goes out.

    The system has it by then, so it outlives this process, however that ends.
    """

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", encoding="utf-8")

    def write(self, batch: Sequence[Received]) -> None:
        at = datetime.now(UTC).isoformat()
        for received in batch:
            for one in received.recipients:
                line = {
                    "at": at,
                    "session": received.session,
                    "message_id": received.headers.message_id,
                    "recipient": one.address,
                    "envelope_sender": received.envelope_sender,
                }
                self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Keeper:
    """Stores what the sessions took in group commits."""

    def __init__(self, store: Store, thread: StoreThread) -> None:
        self._store, self._thread = store, thread
        self._waiting: list[tuple[Received, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def keep(self, received: Received) -> None:
        """Return when `received` is committed; raises what kept it from being stored."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((received, done))
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._drain())
        await done

    async def _drain(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            error: Exception | None = None
            try:
                await self._thread.do(partial(self._store, [one for one, _ in group]))
            except Exception as failure:  # noqa: BLE001 - each session that waits gets it, and answers its client
                error = failure
            for _, done in group:
                if done.done():  # its session is gone; it is kept all the same
                    continue
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)


@dataclass
class Mailboxes:
    """Answers the commands of all sessions: aiosmtpd's handler."""

    keeper: Keeper
    offers_login: bool
    slow_seconds: float
    deferrals: OrderedDict[tuple[str, str], int] = field(default_factory=OrderedDict)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd gives its hooks their names and arguments
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,
        envelope: Envelope,  # noqa: ARG002
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        session.host_name = hostname
        lines = [line for line in responses if self.offers_login or not line.startswith("250-AUTH")]
        return [*lines[:-1], "250-PIPELINING", "250-DSN", *lines[-1:]]

    async def handle_RCPT(  # noqa: N802
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        behavior = behavior_of(address)
        if behavior.phase is Phase.RCPT:
            return behavior.reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self, server: "Receiver", session: Session, envelope: "DsnEnvelope"
    ) -> str:
        content = envelope.original_content or b""
        received = Received(
            session=server.number,
            client=_address_of(session.peer),
            helo=session.host_name or "",
            envelope_sender=(envelope.mail_from or "").removeprefix("<>"),
            envid=envelope.envid,
            recipients=[
                Addressee(address, behavior_of(address), notice)
                for address, notice in zip(envelope.rcpt_tos, envelope.notices, strict=True)
            ],
            content=content,
            headers=headers_of(content),
        )
        behaviors = {one.behavior.name: one.behavior for one in received.recipients}
        if "drop" in behaviors:
            await server.drop()
        if refusal := self._refusal(received, behaviors):
            return refusal
        if "slow" in behaviors:
            await asyncio.sleep(self.slow_seconds)
        await self.keeper.keep(received)
        return f"250 2.0.0 OK: kept as {uuid4().hex[:12]}"

    def _refusal(self, received: Received, behaviors: dict[str, Behavior]) -> str:
        if "policy" in behaviors:
            return behaviors["policy"].reply
        if "defer" in behaviors and self._is_deferred(received):
            return behaviors["defer"].reply
        return ""

    def _is_deferred(self, received: Received) -> bool:
        recipients = " ".join(sorted(one.address for one in received.recipients))
        key = (received.headers.message_id, recipients)
        refused = self.deferrals.pop(key, 0)
        if refused >= REFUSALS_OF_DEFER:
            return False
        self.deferrals[key] = refused + 1
        if len(self.deferrals) > DEFERRALS_KEPT:
            self.deferrals.popitem(last=False)
        return True


class DsnEnvelope(Envelope):
    """An envelope with what the client asked of notifications (RFC 3461)."""

    def __init__(self) -> None:
        super().__init__()
        self.envid = ""
        self.notices: list[Notice] = []  # one for each of rcpt_tos


class Receiver(smtp_listener.Conversation):
    """One session; `number` names it in logs and rows."""

    _numbers = count(1)
    _run = uuid4().hex[:8]  # tells the sessions of one start from those of another

    def __init__(self, handler: Mailboxes, **options: Any) -> None:
        super().__init__(handler, **options)
        self.number = f"{self._run}-{next(self._numbers)}"
        # ORCPT alone may have 500 octets (RFC 3461, 4.2); aiosmtpd's limit is that of plain SMTP
        self.command_size_limits = defaultdict(lambda: self.line_length_limit)

    def _create_envelope(self) -> DsnEnvelope:
        return DsnEnvelope()

    # aiosmtpd refuses parameters that it doesn't know, and folds the case of those it does: these are taken out first.

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        try:
            rest, found = self._split(arg, MAIL_PARAMETERS)
            envid = read_envid(found)
        except NotUnderstood as error:
            await self.push(f"501 5.5.4 {error}")
            return
        envelope = self._dsn_envelope()
        has_begun = bool(envelope.mail_from)
        await super().smtp_MAIL(rest)
        if not has_begun:
            envelope.envid = envid

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        try:
            rest, found = self._split(arg, RCPT_PARAMETERS)
            notice = read_notice(found)
        except NotUnderstood as error:
            await self.push(f"501 5.5.4 {error}")
            return
        envelope = self._dsn_envelope()
        await super().smtp_RCPT(rest)
        if len(envelope.rcpt_tos) > len(envelope.notices):
            envelope.notices.append(notice)

    def _dsn_envelope(self) -> DsnEnvelope:
        # no property: aiosmtpd's __init__ reads them all
        assert isinstance(self.envelope, DsnEnvelope)
        return self.envelope

    def _split(
        self, argument: str | None, names: tuple[str, ...]
    ) -> tuple[str | None, dict[str, str]]:
        if argument is None or self.session is None or not self.session.extended_smtp:
            return argument, {}
        return split_parameters(argument, names)


def _address_of(peer: object) -> str:
    """Return the address in a socket's peer name, without an IPv6 zone; nothing for another kind of socket."""
    host = peer[0] if isinstance(peer, tuple) else ""
    return str(host).partition("%")[0]


def _let_in(*_: object) -> AuthResult:
    return AuthResult(success=True)


async def serve(
    *,
    host: str,
    port: int,
    store: Store,
    stop: asyncio.Event,
    any_login: bool = False,
    slow_seconds: float = 5.0,
    ready: Callable[[int], None] = lambda _: None,
) -> None:
    """Receive mail on `host` and `port` (0: any free one, told to `ready`) until `stop` is set.

    With `any_login`, AUTH PLAIN and LOGIN are offered, in clear text, and any credentials will do.
    """
    thread = StoreThread("sandbox-store")
    keeper = Keeper(store, thread)
    handler = Mailboxes(keeper, offers_login=any_login, slow_seconds=slow_seconds)
    loop = asyncio.get_running_loop()

    def make(room: Room) -> Receiver:
        return Receiver(
            handler,
            room=room,
            loop=loop,
            hostname="sandbox.mailops.localhost",
            ident="mailops sandbox",
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            timeout=IDLE_SECONDS,
            auth_require_tls=False,
            authenticator=_let_in if any_login else None,
            auth_exclude_mechanism=() if any_login else ("LOGIN", "PLAIN"),
        )

    await smtp_listener.listen(
        host=host, port=port, stop=stop, ready=ready, limits=LIMITS, make=make, store=thread
    )
