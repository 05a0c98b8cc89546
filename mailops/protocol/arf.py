"""Abuse reports by which mailbox providers pass on complaints, read and written (RFC 5965; RFC 6430 for not-spam)."""

from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.policy import SMTP
from email.utils import format_datetime

from mailops.protocol import verp
from mailops.protocol.dsn import human_part, returned_headers
from mailops.protocol.report import Report, blocks, first, open_report

_NO_COMPLAINTS = frozenset({"not-spam", "auth-failure", "virus"})


@dataclass(frozen=True, slots=True)
class FeedbackReport:
    feedback_type: str
    user_agent: str = ""
    original_recipients: tuple[str, ...] = ()  # often left out, for privacy
    original_sender: str = ""
    source_ip: str = ""
    arrival_date: str = ""
    original_message_id: str = ""
    list_unsubscribe: str = ""  # of the reported message: its token names the message too
    token: verp.Token | None = None  # from the sender or the returned headers; not verified yet

    @property
    def is_complaint(self) -> bool:
        """Whether the recipient complained; an unknown type counts as `other` (RFC 5965, 3.5)."""
        return self.feedback_type not in _NO_COMPLAINTS


def parse(data: bytes) -> FeedbackReport | None:
    """Return the feedback report that `data` is, or None; never raises."""
    return from_report(open_report(data))


def from_report(report: Report) -> FeedbackReport | None:
    part = report.part("message/feedback-report")
    if part is None:
        return None
    found = {
        name: values for group in reversed(blocks(part.text)[:20]) for name, values in group.items()
    }
    returned = report.returned
    sender = first(found, "original-mail-from").strip("<> ")
    return FeedbackReport(
        feedback_type=(first(found, "feedback-type").lower().split() or ["other"])[0][:40],
        user_agent=first(found, "user-agent")[:200],
        original_recipients=tuple(
            value.strip("<> ")[:320] for value in found.get("original-rcpt-to", [])[:100]
        ),
        original_sender=sender or returned.return_path,
        source_ip=first(found, "source-ip")[:60],
        arrival_date=(first(found, "arrival-date") or first(found, "received-date"))[:60],
        original_message_id=returned.message_id,
        list_unsubscribe=returned.list_unsubscribe,
        token=verp.parse_envelope_sender(sender) or returned.token,
    )


def write(
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
    report = MIMEMultipart("report")
    report.set_param("report-type", "feedback-report")
    report["From"] = f"Feedback Loop <feedback@{reporting_mta}>"
    report["To"] = f"<{to or envelope_sender}>"
    report["Subject"] = "Complaint about a message from you"
    report["Date"] = format_datetime(now)
    report["Auto-Submitted"] = "auto-generated"
    text = f"<{recipient}> marked the message below as unwanted on {format_datetime(now)}.\n"
    report.attach(human_part(text))
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
    report.attach(returned_headers(original))
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
