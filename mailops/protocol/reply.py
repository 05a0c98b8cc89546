"""An SMTP reply (RFC 5321, 4.2) with its enhanced status (RFC 3463)."""

import re
from dataclasses import dataclass

_ENHANCED = re.compile(r"^([245])\.(\d{1,3})\.(\d{1,3})(?:\s+|$)")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered to one command; `text` has its lines joined by newlines, enhanced status left in."""

    code: int
    text: str = ""
    enhanced_status: str = ""
    command: str = ""

    @property
    def is_positive(self) -> bool:
        return 200 <= self.code < 400

    @property
    def is_transient(self) -> bool:
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        return 500 <= self.code < 600

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()


def parse_enhanced_status(code: int, text: str) -> str:
    """Return the enhanced status that begins `text` if its class agrees with `code`, else an empty string."""
    found = _ENHANCED.match(text)
    if found is None or found.group(1) != str(code)[0]:
        return ""
    return ".".join(found.groups())


def make_reply(code: int, lines: list[str], command: str) -> Reply:
    """Return the reply whose text lines are `lines`; a NUL, which PostgreSQL can't store, becomes U+FFFD."""
    text = "\n".join(lines).replace("\0", "\ufffd")
    return Reply(code, text, parse_enhanced_status(code, text), command)
