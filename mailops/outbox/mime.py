"""Makes the content of a message (RFC 5322, 2045): text and HTML, with the header fields bulk mail must have."""

from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime


class _Policy(EmailPolicy):
    """Leaves the URLs of List-Unsubscribe whole: folded as text, a long one becomes encoded words, which no reader takes."""

    def fold(self, name: str, value: str) -> str:
        if name.lower() == "list-unsubscribe":
            return f"{name}: " + f",{self.linesep} ".join(value.split(", ")) + self.linesep
        folded: str = super().fold(name, value)
        return folded

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("ascii", "surrogateescape")


# 7bit transfer encodings only: what one next hop takes without 8BITMIME, every later one takes too.
_POLICY = _Policy(linesep=SMTP.linesep, cte_type="7bit")


class UnfitContent(Exception):
    """The message can't be made; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """All that stands in one recipient's mail; `headers` are further fields, names and values already checked."""

    header_from_name: str
    header_from: str
    reply_to: str
    recipient: str
    subject: str
    text: str
    html: str
    message_id: str
    date: datetime
    headers: dict[str, str] = field(default_factory=dict)


def build_content(letter: Letter) -> bytes:
    """Return the message as octets with CRLF line ends; raise UnfitContent where a part can't be put into mail."""
    message = EmailMessage(policy=_POLICY)
    try:
        local_part, _, domain = letter.header_from.rpartition("@")
        message["From"] = Address(letter.header_from_name, local_part, domain)
        message["To"] = _to(letter.recipient)
        if letter.reply_to:
            message["Reply-To"] = letter.reply_to
        message["Subject"] = _one_line(letter.subject)
        message["Date"] = format_datetime(letter.date)
        message["Message-ID"] = letter.message_id
        for name, value in letter.headers.items():
            message[name] = value
        message.set_content(letter.text, charset="utf-8")
        if letter.html:
            message.add_alternative(letter.html, subtype="html", charset="utf-8")
        return message.as_bytes()
    except (ValueError, UnicodeError, LookupError, IndexError, AttributeError) as error:
        # The email package raises each of these for text it can't serialise; it is this recipient's failure alone.
        raise UnfitContent(f"The mail can't be made from its parts: {error}") from error


def _to(recipient: str) -> str:
    if any(ord(letter) < 32 for letter in recipient):
        raise UnfitContent("The recipient's address has a control character in it.")
    return recipient


def _one_line(subject: str) -> str:
    if any(ord(letter) < 32 and letter != "\t" for letter in subject):
        raise UnfitContent("The subject has a line break or a control character in it.")
    return subject
