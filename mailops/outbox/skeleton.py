"""Makes the content of many alike messages quickly: what `mime.build_content` writes, octet for octet.

What doesn't change from recipient to recipient is cut once out of a message that `build_content` made; the rest is filled in.
`build_content` stays the authority: whatever is out of the ordinary goes to it, as one field or as a whole.
"""

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from uuid import UUID

from mailops.outbox.mime import (
    FAULTS,
    POLICY,
    Letter,
    boundary,
    build_content,
    checked_recipient,
    checked_subject,
    header_field,
)
from mailops.protocol.transfer_encoding import MAX_LINE, encode_body

CACHED_SKELETONS = 256

_ID = UUID("8f1d7c52-9b0e-4d36-a5c4-6e2f80b79d13")  # of no message: marks places in a skeleton
_RECIPIENT, _SUBJECT = "recipient@skeleton.example", "The subject of the skeleton"
_UNSUBSCRIBE = "<https://skeleton.example/unsubscribe>"
_TEXT, _HTML = "The text of the skeleton", "The HTML of the skeleton"
_ENCODING = b"Content-Transfer-Encoding: %b\r\n"
_DATE = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)

_ATOMS = r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*"
_PLAIN_ADDRESS = re.compile(rf"{_ATOMS}@{_ATOMS}", re.ASCII)


def assemble(letter: Letter) -> bytes:
    """Return what `build_content` returns for `letter`; raise UnfitContent where it does."""
    try:
        skeleton = _skeleton(
            letter.header_from_name,
            letter.header_from,
            letter.reply_to,
            letter.message_id.replace(letter.public_id.hex, _ID.hex),
            tuple(
                (name, _UNSUBSCRIBE if name == "List-Unsubscribe" else value)
                for name, value in letter.headers.items()
            ),
            has_html=bool(letter.html),
        )
        if skeleton is not None and boundary(letter) == f"=_{letter.public_id.hex}":
            return skeleton % _slots(letter)
    except FAULTS:
        pass  # build_content says it better
    return build_content(letter)


@lru_cache(maxsize=CACHED_SKELETONS)
def _skeleton(
    header_from_name: str,
    header_from: str,
    reply_to: str,
    message_id: str,
    headers: tuple[tuple[str, str], ...],
    *,
    has_html: bool,
) -> bytes | None:
    """Return a message with places to fill in by %; None where they can't be told apart from the rest."""
    content = build_content(
        Letter(
            public_id=_ID,
            header_from_name=header_from_name,
            header_from=header_from,
            reply_to=reply_to,
            recipient=_RECIPIENT,
            subject=_SUBJECT,
            text=_TEXT,
            html=_HTML if has_html else "",
            message_id=message_id,
            date=_DATE,
            headers=dict(headers),
        )
    ).replace(b"%", b"%%")
    marks = {
        b"to": header_field("To", _RECIPIENT),
        b"subject": header_field("Subject", _SUBJECT),
        b"date": header_field("Date", format_datetime(_DATE)),
        b"text": f"{_TEXT}\r\n".encode(),
    }
    if any(name == "List-Unsubscribe" for name, _ in headers):
        marks[b"unsubscribe"] = header_field("List-Unsubscribe", _UNSUBSCRIBE)
    if has_html:
        marks[b"html"] = f"{_HTML}\r\n".encode()
    for name, mark in marks.items():
        if content.count(mark) != 1:
            return None
        content = content.replace(mark, b"%%(%b)b" % name)
    encodings = [b"text encoding", b"html encoding"][: 1 + has_html]
    if content.count(_ENCODING % b"7bit") != len(encodings):
        return None
    for name in encodings:
        content = content.replace(_ENCODING % b"7bit", _ENCODING % b"%%(%b)b" % name, 1)
    if has_html:  # where the container says that a part has 8-bit octets
        content = content.replace(b"\r\n\r\n", b"\r\n%(container encoding)b\r\n", 1)
    # once in the Message-ID, and in a boundary's field, its two delimiters and its close
    if content.count(_ID.hex.encode()) != message_id.count(_ID.hex) + (4 if has_html else 0):
        return None
    return content.replace(_ID.hex.encode(), b"%(id)b")


def _slots(letter: Letter) -> dict[bytes, bytes]:
    slots = {
        b"id": letter.public_id.hex.encode(),
        b"to": _to_field(letter.recipient),
        b"subject": _subject_field(letter.subject),
        b"date": _date_field(letter.date),
        b"unsubscribe": _unsubscribe_field(letter.headers.get("List-Unsubscribe", "")),
    }
    takes_8bit = letter.takes_8bit
    slots[b"text encoding"], slots[b"text"] = encode_body(letter.text, takes_8bit=takes_8bit)
    if letter.html:
        slots[b"html encoding"], slots[b"html"] = encode_body(letter.html, takes_8bit=takes_8bit)
        is_8bit = b"8bit" in {slots[b"text encoding"], slots[b"html encoding"]}
        slots[b"container encoding"] = _ENCODING % b"8bit" if is_8bit else b""
    return slots


def _to_field(recipient: str) -> bytes:
    if len(recipient) + len("To: ") <= MAX_LINE and _PLAIN_ADDRESS.fullmatch(recipient):
        return b"To: %b\r\n" % recipient.encode()
    return header_field("To", checked_recipient(recipient))


@lru_cache(maxsize=256)
def _subject_field(subject: str) -> bytes:
    if len(subject) + len("Subject: ") <= MAX_LINE and subject and _is_plain(subject):
        return b"Subject: %b\r\n" % subject.encode()
    return header_field("Subject", checked_subject(subject))


def _date_field(date: datetime) -> bytes:
    if date.tzinfo is UTC:
        return _second_field(date.replace(microsecond=0))
    return header_field("Date", format_datetime(date))


@lru_cache(maxsize=16)
def _second_field(date: datetime) -> bytes:
    return header_field("Date", format_datetime(date))


def _unsubscribe_field(value: str) -> bytes:
    if _is_plain(value):
        return POLICY.fold_binary("List-Unsubscribe", value)  # parsed, it would be the same
    return header_field("List-Unsubscribe", value)


def _is_plain(value: str) -> bool:
    """Tell whether the email package writes an unstructured field's value, if short, as it stands."""
    return value.isascii() and value.isprintable() and "=?" not in value
