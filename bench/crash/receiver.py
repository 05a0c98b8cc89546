"""An SMTP receiver that misbehaves as an address asks it to; its log is written before each 250 and is the truth.

Run by its path: `receiver.py PORT LOG PACE [SESSION_FAULT…]`. PACE is how many seconds it thinks on a message, half of
them before and half after the line in the log. The first sessions get the session faults, `banner:421` and the like.
A recipient `PHASE-ACTION.anything` gets that action once, `PHASE-ACTION-always.anything` each time.
"""

import asyncio
import json
import os
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

REPLIES = {
    "421": "421 4.3.2 Closing down",
    "451": "451 4.3.0 Try again later",
    "550": "550 5.1.1 No such mailbox here",
    "554": "554 5.6.0 This content is not taken",
    "long": "550 5.1.1 " + "x" * 50_000 + "\0" + "y" * 50_000,
}
STALL_SECONDS = 3600.0
LIMIT = 2**20


class Ended(Exception):
    """The session is over."""


@dataclass
class Book:
    """What the receiver remembers over its sessions."""

    log: int
    pace: float
    session_faults: list[str]
    done: set[str] = field(default_factory=set)  # recipients that had their fault
    sessions: int = 0

    def write(self, **line: object) -> None:
        os.write(self.log, json.dumps(line).encode() + b"\n")

    def fault_of(self, recipient: str) -> tuple[str, str]:
        """Return phase and action that this recipient draws now, or two empty words."""
        phase, _, rest = recipient.partition("@")[0].partition(".")[0].partition("-")
        action, _, always = rest.partition("-")
        if not action or (recipient in self.done and not always):
            return "", ""
        return phase, action


class Conversation:
    def __init__(
        self, book: Book, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._book, self._reader, self._writer = book, reader, writer
        book.sessions += 1
        self._number = book.sessions
        faults = book.session_faults
        self._phase, _, self._action = (faults.pop(0) if faults else "").partition(":")
        self._recipient = ""

    async def run(self) -> None:
        with suppress(Ended, ConnectionError, asyncio.IncompleteReadError):
            await self._say("banner", "220 crash.example ESMTP")
            while line := (await self._reader.readline()).decode(errors="replace").strip():
                await self._hear(line)
        self._writer.close()

    async def _hear(self, line: str) -> None:
        verb = line.split(" ", maxsplit=1)[0].upper()
        if verb == "EHLO":
            await self._say("ehlo", "250-crash.example\r\n250-PIPELINING\r\n250 8BITMIME")
        elif verb == "MAIL":
            await self._hear_envelope()
        elif verb == "QUIT":
            await self._say("quit", "221 2.0.0 Bye")
            raise Ended
        else:
            await self._reply("250 2.0.0 OK")

    async def _hear_envelope(self) -> None:
        """Read RCPT and DATA, which ride with MAIL, so that the answer to MAIL may depend on the recipient."""
        rcpt = (await self._reader.readline()).decode(errors="replace")
        data = await self._reader.readline()
        if not data:
            raise Ended
        self._recipient = rcpt.partition("<")[2].partition(">")[0]
        self._phase, self._action = self._book.fault_of(self._recipient)
        for phase, reply in (("mail", "250 2.1.0 OK"), ("rcpt", "250 2.1.5 OK")):
            if not await self._say(phase, reply):
                refused = ["503 5.5.1 Not now"] * (2 if phase == "mail" else 1)
                await self._reply("\r\n".join(refused))
                return
        if await self._say("data", "354 Go on"):
            await self._take()

    async def _take(self) -> None:
        if self._phase == "content":
            await self._reader.readexactly(100)
            await self._act()
        await self._reader.readuntil(b"\r\n.\r\n")
        await asyncio.sleep(self._book.pace / 2)
        if self._phase == "body":
            await self._say("body", "")
            return
        self._book.write(at=time.time(), recipient=self._recipient, session=self._number)
        await asyncio.sleep(self._book.pace / 2)
        if self._phase == "taken" and self._action.startswith("after"):
            self._book.done.add(self._recipient)
            await asyncio.sleep(float(self._action.removeprefix("after")))
        if self._phase == "taken" and not self._action.startswith("after"):
            await self._act()
        await self._reply("250 2.0.0 OK: taken")
        if self._phase == "replied":
            await self._writer.drain()
            await self._act()

    async def _say(self, phase: str, reply: str) -> bool:
        """Answer, or act as this phase's fault asks; return whether the answer was the good one."""
        if phase != self._phase:
            await self._reply(reply)
            return True
        return await self._act()

    async def _act(self) -> bool:
        self._book.done.add(self._recipient)
        if self._action == "reset":
            linger = b"\1\0\0\0\0\0\0\0"
            connection = self._writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if self._action in {"drop", "reset"}:
            self._writer.transport.abort() if self._action == "reset" else self._writer.close()
            raise Ended
        if self._action == "stall":
            await asyncio.sleep(STALL_SECONDS)
        self._phase = ""
        await self._reply(REPLIES[self._action])
        if self._action == "421":
            raise Ended
        return False

    async def _reply(self, reply: str) -> None:
        self._writer.write(reply.encode() + b"\r\n")
        await self._writer.drain()


async def serve(port: int, log: Path, pace: float, session_faults: list[str]) -> None:
    kept = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    book = Book(kept, pace, session_faults)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Conversation(book, reader, writer).run()

    server = await asyncio.start_server(converse, "127.0.0.1", port, limit=LIMIT)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))
