"""Delivery status notifications, read and written (RFC 3464; RFC 6533 for addresses outside ASCII; RFC 3461, 6)."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP
from email.utils import format_datetime
from enum import StrEnum
from functools import cached_property

from mailops.protocol import verp
from mailops.protocol.classification import Classification, classify, reply_in_report
from mailops.protocol.reply import Reply
from mailops.protocol.report import (
    Fields,
    Report,
    blocks,
    first,
    open_report,
    untyped,
)

MAX_RECIPIENTS = 100

_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_HEX = re.compile(r"\\x\{([0-9a-fA-F]{1,6})\}")
_MUTE = re.compile(r"(?:[245]\.0\.0)?")


class Action(StrEnum):
    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"  # handed to a system that doesn't do DSNs
    EXPANDED = "expanded"  # handed on to a list's members


@dataclass(frozen=True)
class DsnRecipient:
    """What became of one recipient, by the one who reports it."""

    final_recipient: str
    original_recipient: str
    action: Action
    status: str
    diagnostic: str
    remote_mta: str

    @property
    def recipient(self) -> str:
        """The address we wrote to, as far as the report knows it."""
        return self.original_recipient or self.final_recipient

    @cached_property
    def reply(self) -> Reply:
        return reply_in_report(self.diagnostic, self.status)

    @cached_property
    def classification(self) -> Classification:
        return classify(self.reply, "returned")


@dataclass(frozen=True, slots=True)
class Dsn:
    recipients: tuple[DsnRecipient, ...]
    reporting_mta: str = ""
    envid: str = ""
    original_message_id: str = ""
    original_sender: str = ""
    token: verp.Token | None = None  # from the ENVID or the returned headers; not verified yet


def parse(data: bytes) -> Dsn | None:
    """Return the delivery status notification that `data` is, or None; never raises."""
    return from_report(open_report(data))


def from_report(report: Report) -> Dsn | None:
    part = report.part("message/delivery-status", "message/global-delivery-status")
    if part is None:
        return None
    groups = blocks(part.text)[: MAX_RECIPIENTS + 1]
    human = report.part("text/plain")
    recipients = tuple(
        _recipient(group, human.text if human else "") for group in groups if _is_recipient(group)
    )
    if not recipients:
        return None
    returned = report.returned
    envid = next((first(group, "original-envelope-id") for group in groups), "")
    return Dsn(
        recipients=recipients[:MAX_RECIPIENTS],
        reporting_mta=untyped(first(groups[0], "reporting-mta")),
        envid=envid,
        original_message_id=returned.message_id,
        original_sender=returned.return_path,
        token=verp.parse_token(envid) or returned.token,
    )


def write(
    *,
    recipient: str,
    envelope_sender: str,
    reporting_mta: str,
    action: Action,
    status: str,
    diagnostic: str,
    original: bytes,
    now: datetime,
    envid: str = "",
    orcpt: str = "",
    remote_mta: str = "",
) -> bytes:
    """Return a notification about `recipient` to `envelope_sender`, with the headers of `original`.

    `envid` and `orcpt` (`type;address`) are what the client asked with, if it did (RFC 3461, 6.3).
    """
    report = MIMEMultipart("report")
    report.set_param("report-type", "delivery-status")
    report["From"] = f"Mail Delivery System <MAILER-DAEMON@{reporting_mta}>"
    report["To"] = f"<{envelope_sender}>"
    report["Subject"] = _SUBJECTS[action]
    report["Date"] = format_datetime(now)
    report["Auto-Submitted"] = "auto-replied"
    report.attach(human_part(_human_text(recipient, action, diagnostic)))
    report.attach(
        _status_part(
            recipient=recipient,
            reporting_mta=reporting_mta,
            action=action,
            status=status,
            diagnostic=diagnostic,
            envid=envid,
            orcpt=orcpt,
            remote_mta=remote_mta,
        )
    )
    report.attach(returned_headers(original))
    return report.as_bytes(policy=SMTP)


def human_part(text: str) -> Message:
    """Return a report's first part, for people (RFC 6522, 3)."""
    return MIMEText(text, "plain", "us-ascii" if text.isascii() else "utf-8")


def returned_headers(original: bytes) -> Message:
    """Return the part that gives back a message's headers alone (RFC 6522, 4)."""
    head = re.split(rb"\r?\n\r?\n", original[:64_000], maxsplit=1)[0]
    part = MIMEText(head.decode("utf-8", "replace") + "\n", "rfc822-headers", "utf-8")
    del part["Content-Transfer-Encoding"]
    part["Content-Transfer-Encoding"] = "8bit"
    part.set_payload(head.replace(b"\r\n", b"\n").decode("ascii", "surrogateescape") + "\n")
    return part


_SUBJECTS = {
    Action.FAILED: "Undelivered Mail Returned to Sender",
    Action.DELAYED: "Delayed Mail (still being retried)",
    Action.DELIVERED: "Successful Mail Delivery Report",
    Action.RELAYED: "Successful Mail Delivery Report",
    Action.EXPANDED: "Successful Mail Delivery Report",
}


_TOLD = {
    Action.FAILED: "could not be delivered:",
    Action.DELAYED: "is delayed; delivery is still tried:",
    Action.DELIVERED: "was delivered:",
    Action.RELAYED: "went on to a system that sends no notices:",
    Action.EXPANDED: "went on to the members of a list:",
}


def _human_text(recipient: str, action: Action, diagnostic: str) -> str:
    return f"This is the mail system.\n\nYour message to <{recipient}> {_TOLD[action]}\n\n    {diagnostic}\n"


def _status_part(
    *,
    recipient: str,
    reporting_mta: str,
    action: Action,
    status: str,
    diagnostic: str,
    envid: str,
    orcpt: str,
    remote_mta: str,
) -> Message:
    about_message, about_recipient = Message(), Message()
    about_message["Reporting-MTA"] = f"dns; {reporting_mta}"
    if envid:
        about_message["Original-Envelope-Id"] = envid
    if orcpt:
        about_recipient["Original-Recipient"] = _typed_address(*orcpt.split(";", 1))
    about_recipient["Final-Recipient"] = _typed_address("rfc822", recipient)
    about_recipient["Action"] = str(action)
    about_recipient["Status"] = status
    if remote_mta:
        about_recipient["Remote-MTA"] = f"dns; {remote_mta}"
    if diagnostic:
        about_recipient["Diagnostic-Code"] = f"smtp; {_one_ascii_line(diagnostic)}"
    part = Message()
    part["Content-Type"] = "message/delivery-status"
    part.set_payload([about_message, about_recipient])
    return part


def _typed_address(kind: str, address: str) -> str:
    if address.isascii():
        return f"{kind}; {address}"
    return "utf-8; " + "".join(
        letter if letter.isascii() else f"\\x{{{ord(letter):X}}}" for letter in address
    )


def _one_ascii_line(text: str) -> str:
    return " ".join(text.encode("ascii", "replace").decode().split())


def _is_recipient(group: Fields) -> bool:
    return bool(group.keys() & {"final-recipient", "original-recipient", "action"})


def _recipient(group: Fields, human_text: str) -> DsnRecipient:
    found = _STATUS.search(first(group, "status"))
    status = found[1] if found else ""
    final = _address(first(group, "final-recipient"))
    diagnostic = untyped(first(group, "diagnostic-code"))
    if not diagnostic and _MUTE.fullmatch(status):
        diagnostic = _said_in_text(human_text, final)
    return DsnRecipient(
        final_recipient=final,
        original_recipient=_address(first(group, "original-recipient")),
        action=_action(first(group, "action"), status),
        status=status,
        diagnostic=diagnostic,
        remote_mta=untyped(first(group, "remote-mta")),
    )


def _address(value: str) -> str:
    kind = value.partition(";")[0].strip().lower()
    address = untyped(value).split(" (", 1)[0].strip("<> \t")[:320]
    return _HEX.sub(_letter, address) if kind == "utf-8" else address


def _letter(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    is_letter = 0x20 <= number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF
    return chr(number) if is_letter else "\ufffd"


def _action(said: str, status: str) -> Action:
    word = (said.lower().split() or [""])[0].strip(";,.")
    if word in set(Action):
        return Action(word)
    return {"2": Action.DELIVERED, "4": Action.DELAYED}.get(status[:1], Action.FAILED)


def _said_in_text(text: str, recipient: str) -> str:
    # Exim says why only in the human part, indented below the address.
    if not recipient:
        return ""
    lines = iter(text[:20_000].splitlines())
    for line in lines:
        if line.strip(" \t<>:").lower() == recipient.lower():
            following = (following.strip() for following, _ in zip(lines, range(3), strict=False))
            return " ".join(line for line in following if line)[:500]
    return ""
