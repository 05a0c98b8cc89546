"""Tells what a mail at the return-path host is: a bounce, a complaint, a wish to leave, a vacation notice (RFC 3834)."""

import re
from dataclasses import dataclass
from enum import StrEnum

from mailops.protocol import arf, unsubscribe
from mailops.protocol import dsn as notifications
from mailops.protocol.arf import FeedbackReport
from mailops.protocol.dsn import Action, Dsn
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
