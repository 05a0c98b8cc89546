"""What an SMTP client writes and what it reads out of replies, without a socket."""

import re
from collections.abc import Mapping

from mailops.protocol.dsn_request import xtext
from mailops.protocol.reply import Reply, make_reply
from mailops.transports.sessions import Envelope, Offer, Phase

Extensions = Mapping[str, str]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_QUEUE_ID = re.compile(
    r"queued as <?([\w.+=/@-]{4,200})"  # Postfix, SendGrid
    r"|\bid=([\w.+=/-]{4,200})"  # Exim
    r"|^(?:2\.\d\.\d )?ok:? ([\w.+=/-]{10,200})\s*$",  # Amazon SES
    re.IGNORECASE,
)


def parse_extensions(reply: Reply) -> dict[str, str]:
    """Return an EHLO reply's extensions with their parameters, names in upper case (RFC 5321, 4.1.1.1)."""
    extensions: dict[str, str] = {}
    for line in reply.text.split("\n")[1:]:
        name, _, parameters = line.strip().partition(" ")
        if name.upper().startswith("AUTH="):  # as older servers write it
            name, parameters = "AUTH", f"{name[5:]} {parameters}"
        if name:
            known = extensions.get(name.upper(), "")
            extensions[name.upper()] = f"{known} {parameters}".strip()
    return extensions


def objection_to(envelope: Envelope, extensions: Extensions) -> Offer | None:
    """Return the refusal of an envelope that this server can't be given, None where it can."""
    for phase, address in ((Phase.MAIL, envelope.sender), (Phase.RCPT, envelope.recipient)):
        if _CONTROL.search(address) or ("<" in address or ">" in address):
            return _refusal(phase, 553, "5.1.3", "The address can't be written in SMTP.")
        if not address.isascii() and "SMTPUTF8" not in extensions:
            return _refusal(phase, 553, "5.6.7", "The server takes no non-ASCII addresses.")
    limit = extensions.get("SIZE", "")
    if limit.isdecimal() and 0 < int(limit) < envelope.size:
        return _refusal(
            Phase.MAIL, 552, "5.3.4", f"The message is larger than the server's {limit} octets."
        )
    if envelope.is_8bit and "8BITMIME" not in extensions:
        return Offer(is_ready=False, reply=NO_8BIT, phase=Phase.MAIL)
    return None


def envelope_lines(envelope: Envelope, extensions: Extensions) -> list[str]:
    """Return the commands MAIL, RCPT and DATA for `envelope`, with the parameters this server knows."""
    mail, rcpt = f"MAIL FROM:<{envelope.sender}>", f"RCPT TO:<{envelope.recipient}>"
    if "SIZE" in extensions and envelope.size:
        mail += f" SIZE={envelope.size}"
    if "8BITMIME" in extensions and envelope.is_8bit is not False:
        mail += " BODY=8BITMIME"
    if not (envelope.sender.isascii() and envelope.recipient.isascii()):
        mail += " SMTPUTF8"
    if "DSN" in extensions:
        mail += " RET=HDRS" + (f" ENVID={xtext(envelope.envid)}" if envelope.envid else "")
        rcpt += " NOTIFY=FAILURE,DELAY"
        if envelope.recipient.isascii():
            rcpt += f" ORCPT=rfc822;{xtext(envelope.recipient)}"
    return [mail, rcpt, "DATA"]


def stuff_dots(content: bytes) -> bytes:
    """Return `content` with CRLF lines, an end of line at its end, and dots doubled (RFC 5321, 2.3.8 and 4.5.2)."""
    lines = content.splitlines() or [b""]
    content = b"\r\n".join([*lines, b""]).replace(b"\r\n.", b"\r\n..")
    return b"." + content if content.startswith(b".") else content


def queue_id_of(reply: Reply) -> str:
    """Return the id under which the next hop took the message, an empty string if its reply names none."""
    found = _QUEUE_ID.search(reply.text) if reply.is_positive else None
    return next(filter(None, found.groups()), "").rstrip(".") if found else ""


def our_reply(code: int, status: str, sentence: str) -> Reply:
    """Return a reply that stands for what the server was never asked."""
    return make_reply(code, [f"{status} mailops: {sentence}"], "")


def _refusal(phase: Phase, code: int, status: str, sentence: str) -> Offer:
    return Offer(is_ready=False, reply=our_reply(code, status, sentence), phase=phase)


NO_8BIT = our_reply(554, "5.6.3", "The content has 8-bit octets, which this server does not take.")
