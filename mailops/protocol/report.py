"""The walk of a multipart/report (RFC 6522) and its field blocks, within limits and whatever its bytes are.

The standard parser is led: it never enters a message/* part, it sees few boundaries and lines, and what lies beyond
the limits is cut off. A report's own parts come before the returned message, so the cut costs nothing.
"""

import email.parser
import email.policy
import re
from dataclasses import dataclass
from email.message import Message
from typing import Any

from mailops.protocol import verp

MAX_SIZE = 1_000_000
MAX_LINES = 20_000
MAX_BOUNDARIES = 12
MAX_PARTS = 200
MAX_PARAMETERS = 4_000
MAX_RETURNED = 64_000
MAX_FIELD = 2_000

_BOUNDARY = re.compile(rb"boundary", re.IGNORECASE)
_DASHES = re.compile(rb"^--", re.MULTILINE)
_FOLD = re.compile(r"\n[ \t]+")
_HEADERS_END = re.compile(rb"\r?\n[ \t]*\r?\n")
_RETURNED = frozenset(
    {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"}
)

Fields = dict[str, list[str]]


class _Part(Message):
    """A part whose message/* content is left as it is, and whose parameters are read only where short."""

    def get_content_type(self) -> str:
        declared = super().get_content_type()
        return "application/octet-stream" if declared.startswith("message/") else declared

    def get_boundary(self, failobj: Any = None) -> Any:
        if len(str(self.get("content-type", ""))) > MAX_PARAMETERS:
            return failobj
        try:
            return super().get_boundary(failobj)
        except (ValueError, LookupError, TypeError):  # of numbered parameters that don't count
            return failobj


@dataclass(frozen=True, slots=True)
class Part:
    content_type: str
    content: bytes

    @property
    def text(self) -> str:
        return _text(self.content)


@dataclass(frozen=True, slots=True)
class Returned:
    """What a report tells of the message it returns."""

    message_id: str = ""
    return_path: str = ""
    recipients: tuple[str, ...] = ()
    list_unsubscribe: str = ""
    token: verp.Token | None = None


@dataclass(frozen=True, slots=True)
class Report:
    headers: Fields
    parts: tuple[Part, ...]

    def part(self, *content_types: str) -> Part | None:
        """Return the first part of one of the types, or None."""
        return next((part for part in self.parts if part.content_type in content_types), None)

    def header(self, name: str) -> str:
        return first(self.headers, name)

    @property
    def returned(self) -> Returned:
        part = self.part(*_RETURNED)
        return read_returned(part.content) if part else Returned()


def open_report(data: bytes) -> Report:
    """Return the headers and leaf parts of any message, decoded; never raises."""
    parser = email.parser.BytesParser(_Part, policy=email.policy.compat32)
    message = parser.parsebytes(_cut(data))
    leaves = (part for part in message.walk() if not part.is_multipart())
    return Report(
        headers=_headers_of(message),
        parts=tuple(_leaf(part) for part, _ in zip(leaves, range(MAX_PARTS), strict=False)),
    )


def blocks(text: str) -> list[Fields]:
    """Return the groups of fields that blank lines part (RFC 3464, 2.1), names in lower case, each bounded."""
    groups: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            groups[-1].append(line)
        elif groups[-1]:
            groups.append([])
    return [found for group in groups if (found := fields("\n".join(group)))]


def fields(group: str) -> Fields:
    """Return the fields of one group: lower-case name → its values in order."""
    found: Fields = {}
    for line in _FOLD.sub(" ", group).split("\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip() and len(name) <= 76:
            found.setdefault(name.strip().lower(), []).append(value.strip()[:MAX_FIELD])
    return found


def first(found: Fields, name: str) -> str:
    return found.get(name, [""])[0]


def untyped(value: str) -> str:
    """Return an address or text without its type (`rfc822; a@b.example`), brackets and comment."""
    kind, semicolon, rest = value.partition(";")
    return rest.strip() if semicolon and kind.strip().replace("-", "").isalnum() else value.strip()


def header_fields(content: bytes) -> Fields:
    """Return the header fields that begin a message, without reading its body."""
    head = _HEADERS_END.split(content[:MAX_RETURNED].lstrip(b"\r\n"), maxsplit=1)[0]
    return fields(_text(head).replace("\r\n", "\n"))


def read_returned(content: bytes) -> Returned:
    """Return what the headers of a returned message tell."""
    found = header_fields(content)
    return_path = first(found, "return-path").strip("<> ")
    return Returned(
        message_id=first(found, "message-id"),
        return_path=return_path,
        recipients=tuple(found.get("to", [])[:10]),
        list_unsubscribe=first(found, "list-unsubscribe"),
        token=verp.parse_envelope_sender(return_path),
    )


def _cut(data: bytes) -> bytes:
    data = data[:MAX_SIZE]
    data = _cut_at(data, _BOUNDARY, MAX_BOUNDARIES)
    data = _cut_at(data, _DASHES, MAX_PARTS)
    return b"".join(data.splitlines(keepends=True)[:MAX_LINES])


def _cut_at(data: bytes, mark: re.Pattern[bytes], limit: int) -> bytes:
    for number, found in enumerate(mark.finditer(data)):
        if number >= limit:
            return data[: found.start()]
    return data


def _headers_of(message: Message) -> Fields:
    found: Fields = {}
    for name, value in message.items():
        text = _text(str(value).encode("utf-8", "surrogateescape"))
        found.setdefault(name.lower(), []).append(_FOLD.sub(" ", text).strip()[:MAX_FIELD])
    return found


def _leaf(part: Message) -> Part:
    declared = Message.get_content_type(part)
    try:
        content = part.get_payload(decode=True)
    except (ValueError, LookupError, AssertionError):
        content = None
    if not isinstance(content, bytes):
        content = str(part.get_payload()).encode("utf-8", "surrogateescape")
    return Part(declared, content)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace").replace("\0", "\ufffd")
