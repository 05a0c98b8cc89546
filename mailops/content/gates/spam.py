"""Asks SpamAssassin what it thinks of a mail, over spamd's own protocol."""

import re
import socket
from email.message import EmailMessage

from django.conf import settings

from mailops.content.gates.finding import Problem, found
from mailops.content.rendering import Rendered

SECONDS = 10
MAX_ANSWER = 200_000  # octets
_SCORE = re.compile(r"Spam:\s*(True|False|Yes|No)\s*;\s*(-?[\d.]+)\s*/\s*(-?[\d.]+)", re.IGNORECASE)
_RULE = re.compile(r"^\s*(-?\d+\.\d+)\s+([A-Z][A-Z0-9_]+)\s+(.*)$", re.MULTILINE)


def ask_spamd(rendered: Rendered, *, header_from: str = "news@example.com") -> list[Problem]:
    """Return what spamd says, its rules named with their points; nothing where none is configured."""
    if not settings.MAILOPS_SPAMD:
        return []
    try:
        answer = _report(_message(rendered, header_from))
    except (OSError, ValueError) as error:
        sentence = f"The spam filter at {settings.MAILOPS_SPAMD} can't be asked: {error}"
        return [found("spam.score", sentence, part="")]
    score = _SCORE.search(answer)
    if score is None:
        return [found("spam.score", "The spam filter's answer can't be read.", part="")]
    is_spam, points, limit = score[1].lower() in {"true", "yes"}, score[2], score[3]
    rules = ", ".join(
        f"{rule} {worth}" for worth, rule, _ in _RULE.findall(answer) if float(worth) > 0
    )
    sentence = f"SpamAssassin gives {points} points of {limit}" + (f": {rules}." if rules else ".")
    return [found("spam.score", sentence, part="", is_note=not is_spam)]


def _message(rendered: Rendered, header_from: str) -> bytes:
    message = EmailMessage()
    message["From"] = header_from
    message["To"] = "ada@example.com"
    message["Subject"] = rendered.subject
    message["Date"] = "Thu, 01 Jan 2026 12:00:00 +0000"
    message["Message-ID"] = "<check@example.com>"
    message.set_content(rendered.text)
    if rendered.html:
        message.add_alternative(rendered.html, subtype="html")
    return message.as_bytes()


def _report(message: bytes) -> str:
    host, _, port = settings.MAILOPS_SPAMD.rpartition(":")
    asked = b"REPORT SPAMC/1.5\r\nContent-length: %d\r\n\r\n%b" % (len(message), message)
    with socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS) as connection:
        connection.sendall(asked)
        connection.shutdown(socket.SHUT_WR)
        read = b""
        while len(read) < MAX_ANSWER and (some := connection.recv(8192)):
            read += some
    return read.decode("utf-8", "replace")
