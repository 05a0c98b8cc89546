"""The walk of a multipart/report (RFC 6522) and its field blocks, within limits and whatever its bytes are.

The standard parser is led: it never enters a message/* part, it sees few boundaries and lines, and what lies beyond
the limits is cut off. A report's own parts come before the returned message, so the cut costs nothing.
"""

import email.parser
import email.policy
import re
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from typing import Any

from mailops.protocol import html_text, verp
from mailops.protocol.charsets import decode, decode_words

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
    {
        "message/rfc822",
        "message/global",
        "message/partial",
        "text/rfc822-headers",
        "message/rfc822-headers",
        "message/global-headers",
        "text/rfc822",
    }
)
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,990}>")
_ADDRESS = re.compile(
    r"[^\s<>()\[\]{}\"',;:|=&\\@\u3000-\u3002\uff00-\uffef][^\s<>()\[\]{}\",;:|=&\\@\u3000-\u3002\uff00-\uffef]{0,249}@"
    r"(?:[^\W_](?:[\w-]{0,62})\.){1,10}[^\W\d_][\w-]{1,62}"
)
_QUOTED = re.compile(r"^>[ \t]?", re.MULTILINE)
_FIELD_LINE = re.compile(r">?[ \t]?([A-Za-z][A-Za-z0-9-]{1,60}):(?:[ \t]|$)")
_ONLY_IN_MESSAGES = frozenset({"received", "return-path", "dkim-signature", "mime-version"})
_MEDIA = (
    "image/", "audio/", "video/", "font/", "message/disposition", "message/global-disposition",
)  # fmt: skip
MAX_TOLD = 60_000
_LONG_FIELDS = {"x-failed-recipients": MAX_TOLD}  # that name recipients one after another

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


@dataclass(frozen=True)
class Part:
    content_type: str
    content: bytes
    charset: str = ""

    @cached_property
    def text(self) -> str:
        return decode(self.content, self.charset)

    @cached_property
    def words(self) -> str:
        """The text as a person reads it."""
        text = html_text.to_text(self.text) if self.content_type == "text/html" else self.text
        return text.replace("\r\n", "\n").replace("\r", "\n")

    @property
    def is_text(self) -> bool:
        return self.content_type.startswith("text/") and self.content_type not in _RETURNED


@dataclass(frozen=True, slots=True)
class Returned:
    """What a report tells of the message it returns."""

    headers: Fields = field(default_factory=dict)

    @property
    def message_id(self) -> str:
        found = _MESSAGE_ID.search(first(self.headers, "message-id"))
        return found[0] if found else first(self.headers, "message-id")[:998]

    @property
    def return_path(self) -> str:
        return first(self.headers, "return-path").strip("<> ")

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses it was for, by its fields."""
        values = [*self.headers.get("to", []), *self.headers.get("cc", [])]
        return tuple(addresses_in(" ".join(values[:10])))[:100]

    @property
    def list_unsubscribe(self) -> str:
        return first(self.headers, "list-unsubscribe")

    @property
    def token(self) -> verp.Token | None:
        return verp.parse_envelope_sender(self.return_path)


@dataclass(frozen=True)
class Report:
    headers: Fields
    parts: tuple[Part, ...]
    is_cut: bool = False  # there is more of the mail than was read

    def part(self, *content_types: str) -> Part | None:
        """Return the first part of one of the types, or None."""
        return next((part for part in self.parts if part.content_type in content_types), None)

    def header(self, name: str) -> str:
        return first(self.headers, name)

    def words_of(self, name: str) -> str:
        """Return a header's value as a person reads it."""
        return decode_words(self.header(name))

    @cached_property
    def told(self) -> str:
        """What the report's own text says, before the message it returns."""
        return self._told_and_copied[0]

    @cached_property
    def returned(self) -> Returned:
        """The headers of the message it is about, wherever they stand."""
        marked = [
            read_returned(part.content) for part in self.parts if part.content_type in _RETURNED
        ]
        copied = self._told_and_copied[1]
        if copied:
            marked.append(Returned(fields(_head_of(copied))))
        named = (one for one in marked if one.message_id or one.recipients)
        return (
            next(named, None)
            or self._unmarked_copy
            or next((one for one in marked if one.headers), Returned())
        )

    @property
    def unmarked(self) -> list[str]:
        """The texts of parts that don't say what they are: a status may stand in them all the same."""
        known = _RETURNED | {"text/html"}
        return [
            part.words[:MAX_TOLD]
            for part in self.parts[:20]
            if part.content_type not in known and not part.content_type.startswith(_MEDIA)
        ]

    @property
    def _unmarked_copy(self) -> Returned | None:
        """The returned message, where its part says nothing of what it is."""
        parts = (
            part for part in self.parts[1:20] if part.content_type == "application/octet-stream"
        )
        copies = (read_returned(part.content) for part in parts)
        return next((one for one in copies if one.message_id and "from" in one.headers), None)

    @cached_property
    def _told_and_copied(self) -> tuple[str, str]:
        said, copied = [], ""
        for part in self.own_parts[:20]:
            told, rest = split_copy(part.words[:MAX_TOLD])
            said.append(told)
            copied = copied or rest
        return "\n\n".join(said), copied

    @cached_property
    def own_parts(self) -> list[Part]:
        """The texts for people before the message that is returned."""
        own: list[Part] = []
        for part in self.parts:
            if part.content_type in _RETURNED:
                break
            if part.is_text:
                own.append(part)
        plain = [part for part in own if part.content_type != "text/html"]
        # An empty or courteous alternative ("please use an HTML reader") says nothing.
        return plain if any("@" in part.words for part in plain) else own


def open_report(data: bytes) -> Report:
    """Return the headers and leaf parts of any message, decoded; never raises."""
    parser = email.parser.BytesParser(_Part, policy=email.policy.compat32)
    begun = _begin(data)
    kept = _cut(begun)
    message = parser.parsebytes(kept)
    leaves = (part for part in message.walk() if not part.is_multipart())
    return Report(
        headers=_headers_of(message),
        parts=tuple(_leaf(part) for part, _ in zip(leaves, range(MAX_PARTS), strict=False)),
        is_cut=len(data) > MAX_SIZE or len(kept) < len(begun),
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
    return Returned(header_fields(content))


def addresses_in(text: str) -> list[str]:
    """Return the addresses that stand in `text`, each once, as they are written."""
    lines = (line for line in text[:MAX_TOLD].split("\n") if "@" in line)
    found = (address.rstrip(".") for line in lines for address in _ADDRESS.findall(line[:4000]))
    return list(dict.fromkeys(address[:320] for address in found))


def split_copy(text: str) -> tuple[str, str]:
    """Return what `text` says itself, and the copy of the message that follows it, if one does.

    The copy begins where several header fields stand in a row, one of them a field that only a message has.
    """
    lines = text.split("\n")
    run, known, start = 0, set(), 0
    for number, line in enumerate(lines[:4000]):
        name = _field_name(line)
        if name:
            start, run = (start, run + 1) if run else (number, 1)
            known.add(name)
            if run >= 3 and (known & _ONLY_IN_MESSAGES or known >= {"message-id", "from"}):
                return "\n".join(lines[:start]), "\n".join(lines[start:])
        elif not (run and line[:1] in {" ", "\t"} and line.strip()):
            run, known = 0, set()
    return text, ""


def _field_name(line: str) -> str:
    found = _FIELD_LINE.match(line)
    return found[1].lower() if found else ""


def _head_of(copied: str) -> str:
    plain = _QUOTED.sub("", copied[:MAX_RETURNED])
    return plain.lstrip().split("\n\n", 1)[0]


def _begin(data: bytes) -> bytes:
    data = data[:MAX_SIZE].removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    return data.replace(b"\r", b"\n") if b"\r" in data and b"\n" not in data else data


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
    for name, value in message.raw_items():
        text = _FOLD.sub(" ", decode(str(value).encode("utf-8", "surrogateescape"))).strip()
        most = _LONG_FIELDS.get(name.lower(), MAX_FIELD)
        found.setdefault(name.lower(), []).append(text[:most])
    return found


def _leaf(part: Message) -> Part:
    declared = Message.get_content_type(part)
    try:
        content = part.get_payload(decode=True)
    except (ValueError, LookupError, AssertionError):
        content = None
    if not isinstance(content, bytes):
        content = str(part.get_payload()).encode("utf-8", "surrogateescape")
    return Part(declared, content, _charset(part))


def _charset(part: Message) -> str:
    if len(str(part.get("content-type", ""))) > MAX_PARAMETERS:
        return ""
    try:
        return part.get_content_charset("") or ""
    except (ValueError, LookupError, TypeError):
        return ""


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace").replace("\0", "\ufffd")
