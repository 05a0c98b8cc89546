"""Tells what a mail at the return-path host is: a bounce, a complaint, a wish to leave, a vacation notice (RFC 3834)."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mailops.protocol import arf, unsubscribe
from mailops.protocol import dsn as notifications
from mailops.protocol.arf import FeedbackReport
from mailops.protocol.dsn import Action, Dsn, DsnRecipient
from mailops.protocol.report import Report, open_report


class FeedbackKind(StrEnum):
    BOUNCE = "bounce"
    DELAY = "delay"
    DELIVERED = "delivered"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    AUTO_REPLY = "auto-reply"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FeedbackMail:
    kind: FeedbackKind
    subject: str = ""
    message_id: str = ""
    sender: str = ""
    dsn: Dsn | None = None
    complaint: FeedbackReport | None = None


_AUTO_SUBJECT = re.compile(
    r"\s*(?:auto(?:matic(?:ally generated)?|mated|-)? ?(?:reply|response|answer|replied)?\s*:"
    r"|out of (?:the )?office|abwesenheit|automatische antwort|r[ée]ponse automatique"
    r"|respuesta autom[áa]tica|risposta automatica|resposta autom[áa]tica|autosvar|vacation)",
    re.IGNORECASE,
)
_AUTO_HEADERS = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply", "x-vacation")
_PRECEDENCES = frozenset({"auto_reply", "auto-reply", "autoreply"})


def read(data: bytes, *, envelope_recipients: tuple[str, ...] = ()) -> FeedbackMail:
    """Return what `data`, received for `envelope_recipients`, is; never raises."""
    report = open_report(data)
    complaint, notification = arf.from_report(report), notifications.from_report(report)
    if complaint is not None:
        kind = FeedbackKind.COMPLAINT if complaint.is_complaint else FeedbackKind.OTHER
    elif notification is not None:
        kind = _kind_of(notification)
    elif any(unsubscribe.parse_mail_address(address) for address in envelope_recipients):
        # The address stands in List-Unsubscribe alone, so even a machine that writes to it asks to leave.
        kind = FeedbackKind.UNSUBSCRIBE
    else:
        kind = FeedbackKind.AUTO_REPLY if is_auto_reply(report) else FeedbackKind.OTHER
    return FeedbackMail(
        kind=kind,
        subject=report.header("subject")[:500],
        message_id=report.header("message-id")[:500],
        sender=report.header("from")[:500],
        dsn=notification,
        complaint=complaint,
    )


def describe(mail: FeedbackMail) -> dict[str, Any]:
    """Return what a mail says as JSON values: its type, the message it is about, and each recipient's fate."""
    about = mail.dsn or mail.complaint
    return {
        "type": str(mail.kind),
        "original_message_id": about.original_message_id if about else "",
        "recipients": [_describe(recipient) for recipient in mail.dsn.recipients]
        if mail.dsn
        else [_complained(address) for address in _complainers(mail)],
    }


def _describe(recipient: DsnRecipient) -> dict[str, Any]:
    meaning, has_failed = recipient.classification, recipient.action == Action.FAILED
    is_good = recipient.action in {Action.DELIVERED, Action.RELAYED, Action.EXPANDED}
    return {
        "recipient": recipient.recipient,
        "action": str(recipient.action),
        "enhanced_status": recipient.reply.enhanced_status or recipient.status,
        "code": recipient.reply.code or None,
        "reason": "" if is_good else str(meaning.reason),
        "permanent": has_failed and meaning.is_permanent,
        "fault": "" if is_good else str(meaning.fault),
        "suppress": has_failed and meaning.suppress,
        "diagnostic": recipient.diagnostic,
    }


def _complainers(mail: FeedbackMail) -> tuple[str, ...]:
    if mail.complaint is None or not mail.complaint.is_complaint:
        return ()
    return mail.complaint.original_recipients


def _complained(address: str) -> dict[str, Any]:
    return {
        "recipient": address,
        "action": "complaint",
        "enhanced_status": "",
        "code": None,
        "reason": "complaint",
        "permanent": True,
        "fault": "message",
        "suppress": True,
        "diagnostic": "",
    }


def is_auto_reply(report: Report) -> bool:
    """Tell whether a machine answered for a person (RFC 3834, 5; older habits after it)."""
    submitted = report.header("auto-submitted").lower().split(";")[0].strip()
    if submitted and submitted != "no":
        return True
    return (
        any(report.header(name) for name in _AUTO_HEADERS)
        or report.header("precedence").lower() in _PRECEDENCES
        or _AUTO_SUBJECT.match(report.header("subject")) is not None
    )


def _kind_of(notification: Dsn) -> FeedbackKind:
    # The gravest of its recipients' actions names the mail.
    actions = {recipient.action for recipient in notification.recipients}
    if Action.FAILED in actions:
        return FeedbackKind.BOUNCE
    return FeedbackKind.DELAY if Action.DELAYED in actions else FeedbackKind.DELIVERED
