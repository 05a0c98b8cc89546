"""Takes a captured message apart for its pages: headers, text, HTML, attachments; whatever a sender may have sent."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message

INLINE_LIMIT = 2_000_000  # octets of an image that is shown inside the HTML
_CID = re.compile(r"cid:([^\s\"'<>)]+)", re.IGNORECASE)


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
        message = message_from_bytes(content)
        found.headers = [(name, _decoded(value)) for name, value in message.raw_items()]
        leaves = list(_leaves(message))
    except RecursionError:
        found.problem = (
            "The parts of this message are nested too deeply to be shown; see its source."
        )
        return found
    images = {}
    for part in leaves:
        content_type, body = part.get_content_type(), _body(part)
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
    found.html = _CID.sub(lambda cid: images.get(cid.group(1), cid.group()), found.html)
    return found


def _leaves(message: Message) -> Iterator[Message]:
    waiting = [message]
    while waiting:
        part = waiting.pop(0)
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            waiting = [*payload, *waiting]
        else:
            yield part


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_filename() is not None


def _body(part: Message) -> bytes:
    payload = part.get_payload()
    if isinstance(payload, list):  # message/rfc822
        return b"\r\n".join(inner.as_bytes() for inner in payload if isinstance(inner, Message))
    decoded = part.get_payload(decode=True)
    return decoded if isinstance(decoded, bytes) else b""


def _text(part: Message, body: bytes) -> str:
    charset = str(part.get_content_charset() or "utf-8")
    try:
        return body.decode(charset, "replace")
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace")


def _name(part: Message, number: int) -> str:
    return _decoded(part.get_filename() or f"part-{number}").replace("/", "_").replace("\\", "_")


def _decoded(value: object) -> str:
    text = str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        return str(make_header(decode_header(text)))
    except (MessageError, LookupError, ValueError):
        return text


def _data_url(content_type: str, body: bytes) -> str:
    return f"data:{content_type};base64,{base64.b64encode(body).decode()}"
