"""Takes a captured message apart for its pages: headers, text, HTML, attachments; whatever a sender may have sent."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from typing import Any

from mailops.lib.foreign_html import with_pictures
from mailops.protocol.charsets import decode

INLINE_LIMIT = 2_000_000  # octets of an image that is shown inside the HTML
MOST_LINES = 500_000  # as many as the largest mail has where it is files in base64
MOST_HEADERS, MOST_PARTS, MOST_MULTIPARTS = 1000, 1000, 50
MOST_FIELD = 6000  # characters of a field that is decoded or has parameters: to read them takes the square of that
_CID = re.compile(r"cid:([^\s\"'<>)]+)", re.IGNORECASE)
# what the library lets through where it trusts a charset or a numbered parameter of the sender's
_FAULTS = (LookupError, TypeError, ValueError)


class _TooMuch(Exception):
    """More than a page is made of."""


class _Room:
    """What may still be made of one message: each line is held against each boundary that is open."""

    def __init__(self) -> None:
        self._parts, self._multiparts = MOST_PARTS, MOST_MULTIPARTS

    def make_part(self, *given: Any, **named: Any) -> "_Part":
        self._parts -= 1
        if self._parts < 0:
            raise _TooMuch
        part = _Part(*given, **named)
        part.room = self
        return part

    def open_boundary(self) -> None:
        self._multiparts -= 1
        if self._multiparts < 0:
            raise _TooMuch


class _Part(Message):
    """A part whose message/* content is left as it came, and whose nonsensical parameters are none."""

    room: _Room

    def get_content_type(self) -> str:
        declared = self.declared_type
        return "application/octet-stream" if declared.startswith("message/") else declared

    @property
    def declared_type(self) -> str:
        return super().get_content_type()

    def get_param(
        self, param: str, failobj: Any = None, header: str = "content-type", unquote: bool = True
    ) -> Any:
        if len(str(self.get(header, ""))) > MOST_FIELD:
            return failobj
        return super().get_param(param, failobj, header, unquote)

    def get_boundary(self, failobj: Any = None) -> Any:
        self.room.open_boundary()
        try:
            return super().get_boundary(failobj)
        except _FAULTS:
            return failobj

    def get_filename(self, failobj: Any = None) -> Any:
        try:
            return super().get_filename(failobj)
        except _FAULTS:
            return ""


@dataclass(frozen=True, slots=True)
class Attachment:
    number: int
    name: str
    content_type: str
    content: bytes

    @property
    def size(self) -> int:
        return len(self.content)


@dataclass(slots=True)
class ReadMessage:
    """What a mail program would show; `problem` says what could not be read."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    html: str = ""
    text: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    problem: str = ""

    @property
    def has_html(self) -> bool:
        return bool(self.html)


def read(content: bytes) -> ReadMessage:
    """Return the parts of `content`; never raises for what a sender may do wrong."""
    found = ReadMessage()
    try:
        message = _parsed(content)
        found.headers = [(name, _decoded(value)) for name, value in message.raw_items()]
        leaves = list(_leaves(message))
    except (RecursionError, _TooMuch):
        found.problem = "This message has more lines or parts than can be shown, or nests them too deeply; see its source."
        return found
    images = {}
    for part in leaves:
        content_type, body = part.declared_type, _body(part)
        if content_type == "text/html" and not found.html and not _is_attached(part):
            found.html = _text(part, body)
        elif content_type == "text/plain" and not found.text and not _is_attached(part):
            found.text = _text(part, body)
        else:
            number = len(found.attachments) + 1
            found.attachments.append(Attachment(number, _name(part, number), content_type, body))
        if content_type.startswith("image/") and len(body) <= INLINE_LIMIT:
            images[str(part.get("Content-ID", "")).strip().strip("<>")] = _data_url(
                content_type, body
            )
    found.html = with_pictures(found.html, _CID, images)
    return found


def _parsed(content: bytes) -> _Part:
    """Return the message that `content` is; raise _TooMuch, RecursionError."""
    if content.count(b"\n") > MOST_LINES:
        raise _TooMuch
    message = message_from_bytes(content, _Room().make_part)
    if len(message) > MOST_HEADERS:
        raise _TooMuch
    return message


def _leaves(message: _Part) -> Iterator[_Part]:
    waiting = [message]
    while waiting:
        part = waiting.pop(0)
        if part.is_multipart():
            waiting = [*part.get_payload(), *waiting]
        else:
            yield part


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_filename() is not None


def _body(part: Message) -> bytes:
    # without `decode` the library decodes by the charset that the sender names
    decoded = part.get_payload(decode=True)
    return decoded if isinstance(decoded, bytes) else b""


def _text(part: Message, body: bytes) -> str:
    try:
        return decode(body, str(part.get_content_charset("")))
    except _FAULTS:
        return decode(body)


def _name(part: Message, number: int) -> str:
    return _decoded(part.get_filename() or f"part-{number}").replace("/", "_").replace("\\", "_")


def _decoded(value: object) -> str:
    text = _whole(str(value))
    if len(text) > MOST_FIELD:
        return text
    try:
        return _whole(str(make_header(decode_header(text))))
    except (MessageError, LookupError, ValueError):
        return text


def _whole(text: str) -> str:
    """Return `text` with the octets the parser kept decoded, and without half characters, which some codecs make."""
    try:
        octets = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        octets = text.encode("utf-8", "replace")
    return octets.decode("utf-8", "replace")


def _data_url(content_type: str, body: bytes) -> str:
    return f"data:{content_type};base64,{base64.b64encode(body).decode()}"
