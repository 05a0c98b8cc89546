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
    Enclosure,
    Letter,
    boundary,
    build_content,
    checked_recipient,
    checked_subject,
    header_field,
)
from mailops.protocol.transfer_encoding import MAX_LINE, encode_body, encode_octets

CACHED_SKELETONS = 256
CACHED_FILES = 32  # encoded once for all who get them

_ID = UUID("8f1d7c52-9b0e-4d36-a5c4-6e2f80b79d13")  # of no message: marks places in a skeleton
_RECIPIENT, _SUBJECT = "recipient@skeleton.example", "The subject of the skeleton"
_UNSUBSCRIBE = "<https://skeleton.example/unsubscribe>"
# 8-bit, as their containers say
_TEXT, _HTML = "The täxt of the skeleton", "The HTML of the skëleton"
_ENCODING = b"Content-Transfer-Encoding: %b\r\n"
_FIELDS = {name: _ENCODING % name for name in (b"7bit", b"8bit", b"quoted-printable", b"base64")}
_OF_CONTAINERS = {name: _FIELDS[name] if name == b"8bit" else b"" for name in _FIELDS}
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
            files=tuple((file.name, file.content_type, file.cid) for file in _carried(letter))
            if letter.files
            else (),
        )
        if skeleton is not None and _has_plain_boundaries(letter):
            return skeleton % _slots(letter)
    except FAULTS:
        pass  # build_content says it better
    return build_content(letter)


def _has_plain_boundaries(letter: Letter) -> bool:
    name = letter.public_id.hex
    if boundary(letter) != f"=_{name}":
        return False
    return not letter.files or all(boundary(letter, part) == f"=_{part}{name}" for part in "rm")


def _carried(letter: Letter) -> list[Enclosure]:
    """Return the files in the order in which they stand in the message."""
    return [*letter.inline, *letter.attached]


@lru_cache(maxsize=CACHED_SKELETONS)
def _skeleton(
    header_from_name: str,
    header_from: str,
    reply_to: str,
    message_id: str,
    headers: tuple[tuple[str, str], ...],
    *,
    has_html: bool,
    files: tuple[tuple[str, str, str], ...] = (),
) -> bytes | None:
    """Return a message with places to fill in by %; None where they can't be told apart from the rest."""
    bodies = [b"File %d of the skeleton" % number for number in range(len(files))]
    letter = Letter(
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
        takes_8bit=True,
        files=tuple(
            Enclosure(name=name, content_type=content_type, cid=cid, content=body)
            for (name, content_type, cid), body in zip(files, bodies, strict=True)
        ),
    )
    return _with_places(build_content(letter).replace(b"%", b"%%"), letter)


def _with_places(content: bytes, letter: Letter) -> bytes | None:
    """Return the `content` of the skeleton's letter with a place for each of its marks, encodings and ids."""
    for name, mark in _marks(letter).items():
        if content.count(mark) != 1:
            return None
        content = content.replace(mark, b"%%(%b)b" % name)
    encodings = _encodings(letter)
    if content.count(_ENCODING % b"8bit") != len(encodings):
        return None
    for name in encodings:
        content = content.replace(_ENCODING % b"8bit", b"%%(%b encoding)b" % name, 1)
    if content.count(_ID.hex.encode()) != letter.message_id.count(_ID.hex) + _boundaries(letter):
        return None
    return content.replace(_ID.hex.encode(), b"%(id)b")


def _marks(letter: Letter) -> dict[bytes, bytes]:
    """Return what stands for each thing that changes, by the name of its place."""
    marks = {
        b"to": header_field("To", _RECIPIENT),
        b"subject": header_field("Subject", _SUBJECT),
        b"date": header_field("Date", format_datetime(_DATE)),
        b"text": f"{_TEXT}\r\n".encode(),
    }
    if "List-Unsubscribe" in letter.headers:
        marks[b"unsubscribe"] = header_field("List-Unsubscribe", _UNSUBSCRIBE)
    if letter.html:
        marks[b"html"] = f"{_HTML}\r\n".encode()
    files = enumerate(letter.files)
    return marks | {b"file %d" % number: encode_octets(file.content) for number, file in files}


def _encodings(letter: Letter) -> list[bytes]:
    """Return what says how it is encoded, in the order of the message: containers of 8-bit parts, too."""
    outer = [b"container"] * (bool(letter.attached) + bool(letter.html))
    html = [*([b"related"] if letter.inline else []), b"html"] if letter.html else []
    return [*outer, b"text", *html]


def _boundaries(letter: Letter) -> int:
    """Return how often the boundaries stand there: of each container in its field, before each part, and at its close."""
    parts = [2] if letter.html else []
    parts += [1 + len(each) for each in (letter.inline, letter.attached) if each]
    return sum(count + 2 for count in parts)


def _slots(letter: Letter) -> dict[bytes, bytes]:
    slots = {
        b"id": letter.public_id.hex.encode(),
        b"to": _to_field(letter.recipient),
        b"subject": _subject_field(letter.subject),
        b"date": _date_field(letter.date),
        b"unsubscribe": _unsubscribe_field(letter.headers.get("List-Unsubscribe", "")),
    }
    takes_8bit = letter.takes_8bit
    encoding, slots[b"text"] = encode_body(letter.text, takes_8bit=takes_8bit)
    slots[b"text encoding"] = _FIELDS[encoding]
    slots[b"container encoding"] = _OF_CONTAINERS[encoding]
    if letter.html:
        encoding, slots[b"html"] = encode_body(letter.html, takes_8bit=takes_8bit)
        slots[b"html encoding"] = _FIELDS[encoding]
        slots[b"related encoding"] = _OF_CONTAINERS[encoding]
        slots[b"container encoding"] = slots[b"container encoding"] or _OF_CONTAINERS[encoding]
    if letter.files:
        for number, file in enumerate(_carried(letter)):
            slots[b"file %d" % number] = _file(file.content)
    return slots


@lru_cache(maxsize=CACHED_FILES)
def _file(content: bytes) -> bytes:
    return encode_octets(content)


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
