"""Asks ClamAV's clamd whether a file is infected, by its INSTREAM command.

A module of our own: the protocol is twenty lines, and the packages for it connect past `lib.egress`.
"""

import re
import socket
import struct
from dataclasses import dataclass

from django.conf import settings

from mailops.lib import egress
from mailops.lib.egress import EgressFault
from mailops.lib.env import host_and_port

SECONDS = 30  # clamd may be loading its signatures
CHUNK = 64 * 1024
MAX_ANSWER = 4096
_FOUND = re.compile(r"stream: (.+) FOUND")


class ScannerAway(Exception):
    """The scanner did not say whether the file is clean; the text says why."""


@dataclass(frozen=True)
class Verdict:
    signature: str = ""  # what was found; empty: nothing

    @property
    def is_infected(self) -> bool:
        return bool(self.signature)


def is_configured() -> bool:
    return bool(settings.MAILOPS_CLAMAV)


def scan(content: bytes) -> Verdict:
    """Return what clamd finds in `content`; raise ScannerAway where it gives no verdict."""
    try:
        with _connected() as connection:
            answer = _ask(connection, content)
    except (OSError, EgressFault) as error:
        raise ScannerAway(f"The virus scanner can't be asked: {error}.") from error
    if found := _FOUND.fullmatch(answer):
        return Verdict(found[1][:200])
    if answer == "stream: OK":
        return Verdict()
    raise ScannerAway(f"The virus scanner gave no verdict: {answer[:200] or 'it hung up'}.")


def _connected() -> socket.socket:
    where: str = settings.MAILOPS_CLAMAV
    if not where.startswith("/"):
        host, port = host_and_port(where)
        connection, _ = egress.connect(egress.resolve(host, port), timeout=SECONDS)
    else:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(SECONDS)
            connection.connect(where)
        except OSError:
            connection.close()
            raise
    connection.settimeout(SECONDS)
    return connection


def _ask(connection: socket.socket, content: bytes) -> str:
    try:
        connection.sendall(b"zINSTREAM\0")
        for at in range(0, len(content), CHUNK):
            chunk = content[at : at + CHUNK]
            connection.sendall(struct.pack(">I", len(chunk)) + chunk)
        connection.sendall(struct.pack(">I", 0))
    except (BrokenPipeError, ConnectionResetError):
        pass  # it has answered already, such as that the file is too large for it
    answer = b""
    while len(answer) < MAX_ANSWER and not answer.endswith(b"\0"):
        some = connection.recv(MAX_ANSWER)
        if not some:
            break
        answer += some
    return answer.rstrip(b"\0").decode("utf-8", "replace").strip()
