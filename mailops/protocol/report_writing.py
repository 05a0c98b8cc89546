"""Writes the reports that servers send of mail: notifications (RFC 3464, RFC 6533, RFC 3461, 6) and complaints (RFC 5965)."""

import re
from collections.abc import Mapping
from datetime import datetime
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP
from email.utils import format_datetime

from mailops.protocol.dsn import Action

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


def write_dsn(
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
    report = _begun(
        "delivery-status",
        {
            "From": f"Mail Delivery System <MAILER-DAEMON@{reporting_mta}>",
            "To": f"<{envelope_sender}>",
            "Subject": _SUBJECTS[action],
            "Date": format_datetime(now),
            "Auto-Submitted": "auto-replied",
        },
        f"This is the mail system.\n\nYour message to <{recipient}> {_TOLD[action]}\n\n    {diagnostic}\n",
    )
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
    report.attach(_returned_headers(original))
    return report.as_bytes(policy=SMTP)


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


def write_complaint(
    *,
    recipient: str,
    envelope_sender: str,
    reporting_mta: str,
    original: bytes,
    now: datetime,
    to: str = "",
    feedback_type: str = "abuse",
    source_ip: str = "",
) -> bytes:
    """Return a complaint of `recipient` about `original`, addressed `to` (by default the envelope sender)."""
    report = _begun(
        "feedback-report",
        {
            "From": f"Feedback Loop <feedback@{reporting_mta}>",
            "To": f"<{to or envelope_sender}>",
            "Subject": "Complaint about a message from you",
            "Date": format_datetime(now),
            "Auto-Submitted": "auto-generated",
        },
        f"<{recipient}> marked the message below as unwanted on {format_datetime(now)}.\n",
    )
    report.attach(
        _feedback_part(
            recipient=recipient,
            envelope_sender=envelope_sender,
            reporting_mta=reporting_mta,
            now=now,
            feedback_type=feedback_type,
            source_ip=source_ip,
        )
    )
    report.attach(_returned_headers(original))
    return report.as_bytes(policy=SMTP)


def _feedback_part(
    *,
    recipient: str,
    envelope_sender: str,
    reporting_mta: str,
    now: datetime,
    feedback_type: str,
    source_ip: str,
) -> Message:
    about = {
        "Feedback-Type": feedback_type,
        "User-Agent": "mailops-sandbox/1",
        "Version": "1",
        "Original-Mail-From": f"<{envelope_sender}>",
        "Original-Rcpt-To": f"<{recipient}>",
        "Arrival-Date": format_datetime(now),
        "Reporting-MTA": f"dns; {reporting_mta}",
        **({"Source-IP": source_ip} if source_ip else {}),
    }
    part = Message()
    part["Content-Type"] = "message/feedback-report"
    lines = (f"{name}: {value}\n" for name, value in about.items())
    part.set_payload("".join(lines).encode("ascii", "replace").decode())
    return part


def _begun(kind: str, headers: Mapping[str, str], text: str) -> MIMEMultipart:
    """Return a report with its first part, `text` for people (RFC 6522, 3)."""
    report = MIMEMultipart("report")
    report.set_param("report-type", kind)
    for name, value in headers.items():
        report[name] = value
    report.attach(MIMEText(text, "plain", "us-ascii" if text.isascii() else "utf-8"))
    return report


def _returned_headers(original: bytes) -> Message:
    """Return the part that gives back a message's headers alone (RFC 6522, 4)."""
    head = re.split(rb"\r?\n\r?\n", original[:64_000], maxsplit=1)[0]
    part = MIMEText(head.decode("utf-8", "replace") + "\n", "rfc822-headers", "utf-8")
    del part["Content-Transfer-Encoding"]
    part["Content-Transfer-Encoding"] = "8bit"
    part.set_payload(head.replace(b"\r\n", b"\n").decode("ascii", "surrogateescape") + "\n")
    return part
