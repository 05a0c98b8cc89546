"""Makes the content of a message (RFC 5322, 2045): text and HTML, files, and the header fields bulk mail must have.

Pictures that the HTML shows stand beside it in a multipart/related (RFC 2387), files that are attached behind both in a
multipart/mixed (RFC 2046, 5.1.3); the text goes without the pictures.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime
from typing import cast
from uuid import UUID

from mailops.protocol.transfer_encoding import MAX_LINE, plain_encoding


class _Policy(EmailPolicy):
    """Leaves the URLs of List-Unsubscribe whole: folded as text, a long one becomes encoded words, which no reader takes."""

    def fold(self, name: str, value: str) -> str:
        if name.lower() == "list-unsubscribe":
            return f"{name}: " + f",{self.linesep} ".join(value.split(", ")) + self.linesep
        folded: str = super().fold(name, value)
        return folded

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("ascii", "surrogateescape")


POLICY = _Policy(linesep=SMTP.linesep, max_line_length=MAX_LINE, cte_type="7bit")
_AS_ENCODED = POLICY.clone(cte_type="8bit")  # each part's encoding is chosen before

# What the email package raises for text it can't serialise; it is this recipient's failure alone.
FAULTS = (ValueError, TypeError, LookupError, AttributeError, MessageError)


class UnfitContent(Exception):
    """The message can't be made; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Enclosure:
    """A file that goes with a letter (RFC 2183); with a `cid` the HTML shows it, without one it is attached."""

    name: str
    content_type: str
    content: bytes = field(repr=False)
    cid: str = ""  # what stands behind "cid:" in the HTML (RFC 2392)

    @property
    def is_inline(self) -> bool:
        return bool(self.cid)


@dataclass(frozen=True, kw_only=True)
class Letter:
    """All that stands in one recipient's mail; `headers` are further fields, names and values already checked."""

    public_id: UUID
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
    takes_8bit: bool = False  # whether the next hop does (RFC 6152)
    files: tuple[Enclosure, ...] = ()

    @property
    def inline(self) -> list[Enclosure]:
        return [file for file in self.files if file.is_inline and self.html]

    @property
    def attached(self) -> list[Enclosure]:
        return [file for file in self.files if not file.is_inline]


def build_content(letter: Letter) -> bytes:
    """Return the message as octets with CRLF line ends; raise UnfitContent where a part can't be put into mail."""
    message = EmailMessage(policy=POLICY)
    try:
        local_part, _, domain = letter.header_from.rpartition("@")
        message["From"] = Address(letter.header_from_name, local_part, domain)
        message["To"] = checked_recipient(letter.recipient)
        if letter.reply_to:
            message["Reply-To"] = letter.reply_to
        message["Subject"] = checked_subject(letter.subject)
        message["Date"] = format_datetime(letter.date)
        message["Message-ID"] = letter.message_id
        for name, value in letter.headers.items():
            message[name] = value
        _add_words(message, letter)
        for file in letter.attached:
            _enclose(message.add_attachment, file, "attachment")
        if letter.attached:
            _finish(message, boundary(letter, "m"), is_8bit=holds_8bit(letter))
        return message.as_bytes(policy=_AS_ENCODED)
    except FAULTS as error:
        raise UnfitContent(f"The mail can't be made from its parts: {error}") from error


def _add_words(message: EmailMessage, letter: Letter) -> None:
    message.set_content(letter.text, charset="utf-8", cte=_plain(letter, letter.text))
    if not letter.html:
        return
    html_cte = _plain(letter, letter.html)
    message.add_alternative(letter.html, subtype="html", charset="utf-8", cte=html_cte)
    _finish(message, boundary(letter), is_8bit=holds_8bit(letter))
    related = cast("EmailMessage", message.get_payload(1))
    for file in letter.inline:
        _enclose(related.add_related, file, "inline")
    if letter.inline:
        related.set_param("type", "text/html")  # RFC 2387, 3.1
        _finish(related, boundary(letter, "r"), is_8bit=html_cte == "8bit")


def _enclose(add: Callable[..., None], file: Enclosure, disposition: str) -> None:
    if not file.name.isprintable():
        raise UnfitContent(f"The name of the file {file.name!r} has a control character in it.")
    maintype, _, subtype = file.content_type.partition("/")
    add(
        file.content,
        maintype,
        subtype,
        cte="base64",
        disposition=disposition,
        filename=file.name,
        cid=f"<{file.cid}>" if file.cid else None,
        params={"charset": "utf-8"} if maintype == "text" else None,
    )


def _finish(container: EmailMessage, mark: str, *, is_8bit: bool) -> None:
    container.set_boundary(mark)
    if is_8bit:
        container["Content-Transfer-Encoding"] = "8bit"


def _plain(letter: Letter, text: str) -> str | None:
    return plain_encoding(text, takes_8bit=letter.takes_8bit)


def holds_8bit(letter: Letter) -> bool:
    """Tell whether a part travels as 8-bit octets, which what contains it must say, too (RFC 2045, 6.4)."""
    return "8bit" in {_plain(letter, letter.text), _plain(letter, letter.html)}


def boundary(letter: Letter, part: str = "") -> str:
    """Return what parts the message: the same for the same letter, and on no line of its parts.

    "=_" is in no base64 and no quoted-printable text, and plain text is its source, so the sources alone need to be
    searched. Containers in containers differ in `part`, so that none of them begins as another does (RFC 2046, 5.1.1).
    """
    mark = f"=_{part}{letter.public_id.hex}"
    while mark in letter.text or mark in letter.html:
        mark += "_"
    return mark


def header_field(name: str, value: str) -> bytes:
    """Return one header field as `build_content` writes it, line end and all."""
    return POLICY.fold_binary(*POLICY.header_store_parse(name, value))


def checked_recipient(recipient: str) -> str:
    if any(ord(letter) < 32 for letter in recipient):
        raise UnfitContent("The recipient's address has a control character in it.")
    return recipient


def checked_subject(subject: str) -> str:
    if any(ord(letter) < 32 and letter != "\t" for letter in subject):
        raise UnfitContent("The subject has a line break or a control character in it.")
    return subject
