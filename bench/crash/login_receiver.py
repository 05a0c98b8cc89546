"""An SMTP receiver with TLS and log-ins that are switched on and off while sessions are open; its log is the truth.

Run by its path: `login_receiver.py PORT LOG PACE CERTIFICATE PASSWORDS`. PASSWORDS is a file with one password a line,
read anew with each log-in and each MAIL: a session whose password is gone is told so, as providers do. Beside LOG it
keeps LOG.log-ins with a line for each log-in.
"""

import asyncio
import base64
import json
import os
import ssl
import sys
import time
from contextlib import suppress
from pathlib import Path

LIMIT = 2**20
HELLO = b"250-crash.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n"


class Desk:
    """What all sessions share."""

    def __init__(self, log: Path, pace: float, passwords: Path) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._log = os.open(log, flags)
        self._log_ins = os.open(f"{log}.log-ins", flags)
        self._passwords, self.pace = passwords, pace

    def knows(self, password: str) -> bool:
        return bool(password) and password in self._passwords.read_text().split()

    def note_log_in(self, password: str, *, was_let_in: bool) -> None:
        line = {"at": time.time(), "password": password, "was_let_in": was_let_in}
        os.write(self._log_ins, json.dumps(line).encode() + b"\n")

    def note_mail(self, recipient: str) -> None:
        line = {"at": time.time(), "recipient": recipient}
        os.write(self._log, json.dumps(line).encode() + b"\n")


class Talk:
    def __init__(
        self, desk: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._desk, self._reader, self._writer = desk, reader, writer
        self._password = self._recipient = ""
        self._may_send = False

    async def run(self) -> None:
        self._writer.write(b"220 crash.example ESMTP\r\n")
        while line := (await self._reader.readline()).decode(errors="replace").strip():
            verb = line[:4].upper()
            if verb == "QUIT":
                self._writer.write(b"221 2.0.0 Bye\r\n")
                return
            await self._hear(verb, line)
            await self._writer.drain()

    async def _hear(self, verb: str, line: str) -> None:
        if verb == "EHLO":
            self._writer.write(HELLO)
        elif verb == "AUTH":
            self._log_in(line)
        elif verb == "MAIL":
            self._may_send, self._recipient = self._desk.knows(self._password), ""
            self._say("250 2.1.0 OK" if self._may_send else "530 5.7.0 Authentication required")
        elif verb == "RCPT":
            self._recipient = line.partition("<")[2].partition(">")[0] if self._may_send else ""
            self._say("250 2.1.5 OK" if self._recipient else "503 5.5.1 No sender")
        elif verb == "DATA":
            await self._take()
        else:
            self._say("250 2.0.0 OK")

    def _log_in(self, line: str) -> None:
        password = base64.b64decode(line.rsplit(maxsplit=1)[-1]).split(b"\0")[-1].decode()
        was_let_in = self._desk.knows(password)
        self._desk.note_log_in(password, was_let_in=was_let_in)
        self._password = password if was_let_in else ""
        self._say("235 2.7.0 Welcome" if was_let_in else "535 5.7.8 Authentication failed")

    async def _take(self) -> None:
        if not self._recipient:
            self._say("503 5.5.1 No recipient")
            return
        self._say("354 Go on")
        await self._reader.readuntil(b"\r\n.\r\n")
        await asyncio.sleep(self._desk.pace)
        self._desk.note_mail(self._recipient)
        self._recipient = ""
        self._say("250 2.0.0 OK: taken")

    def _say(self, reply: str) -> None:
        self._writer.write(reply.encode() + b"\r\n")


async def serve(port: int, certificate: Path, desk: Desk) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await Talk(desk, reader, writer).run()
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", port, limit=LIMIT, ssl=context)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    number, log, seconds, certificate_file, password_file = sys.argv[1:]
    asyncio.run(
        serve(
            int(number),
            Path(certificate_file),
            Desk(Path(log), float(seconds), Path(password_file)),
        )
    )
